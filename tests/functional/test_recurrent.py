"""Locked, weight and embedding dropout as functions: how often, of what, and in which layout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from adaptive_dropout.functional import dropout, embedding_dropout, locked_dropout, weight_drop

PS = [0.0, 0.001, 0.1, 0.5, 0.9, 1.0]
SHAPES = [(1, 1, 1), (3, 1, 7), (1, 5, 1), (7, 3, 5), (2, 127, 33)]  # time, batch, features
DRAWS = 40_000


def check_share(masks: list[Tensor], p: float) -> None:
    """The share of dropped elements of all masks is p within 5 standard errors and half a step of the threshold."""
    elements = torch.cat([mask.flatten() for mask in masks])
    share = (elements == 0).double().mean().item()
    assert abs(share - p) <= 5 * (p * (1 - p) / elements.numel()) ** 0.5 + 2**-17, (share, p)
    kept = elements[elements != 0]
    assert torch.allclose(kept, torch.full_like(kept, 1 / (1 - p) if p < 1 else 0.0), rtol=2**-15 / max(1 - p, 0.1))


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_sequence_has_one_mask_for_all_times_that_drops_as_often_as_p_says(p: float, batch_first: bool) -> None:
    for shape in SHAPES:
        _, batch, features = shape
        masks = []
        for _ in range(min(-(-DRAWS // (batch * features)), 150)):
            x = torch.ones(shape).transpose(0, 1) if batch_first else torch.ones(shape)
            y = locked_dropout(x, p, batch_first)
            y = y.transpose(0, 1) if batch_first else y
            assert y.shape == shape
            assert torch.equal(y, y[:1].expand_as(y)), "times differ"
            masks.append(y[0])
        check_share(masks, p)


def test_sequences_of_a_batch_have_masks_of_their_own_in_both_layouts() -> None:
    y = locked_dropout(torch.ones(3, 2, 100), 0.5)
    assert not torch.equal(y[:, 0], y[:, 1])
    y = locked_dropout(torch.ones(2, 3, 100), 0.5, batch_first=True)
    assert not torch.equal(y[0], y[1])


def test_one_sequence_without_a_batch_is_time_first_whatever_the_layout() -> None:
    for batch_first in (False, True):
        y = locked_dropout(torch.ones(4, 50), 0.5, batch_first)
        assert torch.equal(y, y[:1].expand_as(y))
        assert 0 < (y[0] == 0).sum() < 50


def test_maps_over_time_keep_their_other_dimensions() -> None:
    y = locked_dropout(torch.ones(3, 2, 4, 5, 6), 0.5)
    assert torch.equal(y, y[:1].expand_as(y))
    assert not torch.equal(y[..., 0], y[..., 1])


def padded(batch_first: bool = True) -> tuple[Tensor, list[int]]:
    lengths = [2, 5, 1, 5]
    x = torch.zeros(4, 5, 30)
    for row, length in enumerate(lengths):
        x[row, :length] = 1
    return (x if batch_first else x.transpose(0, 1)), lengths


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_packed_sequence_has_the_masks_of_its_padded_form(batch_first: bool) -> None:
    x, lengths = padded(batch_first)
    packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted=False)
    torch.manual_seed(4)
    y = locked_dropout(packed, 0.4, batch_first)
    torch.manual_seed(4)
    expected = locked_dropout(x, 0.4, batch_first)
    assert isinstance(y, PackedSequence)
    assert torch.equal(pad_packed_sequence(y, batch_first)[0], expected)
    assert torch.equal(y.sorted_indices, packed.sorted_indices)
    sequence = pad_packed_sequence(y, batch_first=True)[0][1]
    assert torch.equal(sequence, sequence[:1].expand_as(sequence))


def test_a_sorted_packed_sequence_and_its_edges() -> None:
    x, lengths = padded()
    packed = pack_padded_sequence(x[[1, 3, 0, 2]], sorted(lengths, reverse=True), batch_first=True)
    assert packed.sorted_indices is None
    assert locked_dropout(packed, 0.0) is packed
    assert not locked_dropout(packed, 1.0).data.any()
    half = packed.to(torch.bfloat16)
    torch.manual_seed(1)
    first = locked_dropout(half, 0.3).data
    torch.manual_seed(1)
    assert torch.equal(first, locked_dropout(packed, 0.3).data.bfloat16())


def test_a_packed_sequence_that_contradicts_itself_is_told_in_one_line() -> None:
    data, sizes = torch.ones(5, 2), torch.tensor([3, 2])
    with pytest.raises(ValueError, match=r"^batch_sizes of .* sum to the 5 rows of its data, but are \[3, 3\]; make"):
        locked_dropout(PackedSequence(data, torch.tensor([3, 3])), 0.5)
    with pytest.raises(ValueError, match=r"^batch_sizes of .* have to fall .* but are \[2, 3\]; make"):
        locked_dropout(PackedSequence(data, torch.tensor([2, 3])), 0.5)
    for wrong in (torch.tensor([0, 1]), torch.tensor([0, 1, 1])):
        with pytest.raises(ValueError, match=r"^sorted_indices of .* each of its 3 sequences once.*; make it with"):
            locked_dropout(PackedSequence(data, sizes, wrong), 0.5)


def test_what_has_no_time_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"^locked_dropout takes \(time, batch, features\), .* got shape \(3,\)$"):
        locked_dropout(torch.ones(3), 0.5)
    with pytest.raises(RuntimeError, match=r"^locked_dropout takes \(batch, time, features\), .* got shape \(3,\)$"):
        locked_dropout(torch.ones(3), 0.5, batch_first=True)
    with pytest.raises(RuntimeError, match="floating-point"):
        locked_dropout(torch.ones(3, 2, 2, dtype=torch.int64), 0.5)


def test_public_defect_the_input_is_neither_cloned_nor_changed() -> None:
    x = torch.randn(4, 3, 5, requires_grad=True)
    before = x.detach().clone()
    y = locked_dropout(x, 0.5)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(x.detach(), before)
    assert torch.allclose(gradient * before, y.detach())
    assert locked_dropout(x, 0.0) is x


@pytest.mark.parametrize("p", PS)
def test_weights_drop_as_often_as_p_says(p: float) -> None:
    for shape in [(1, 1), (7, 3), (401, 99), (3,)]:
        count = min(-(-DRAWS // torch.Size(shape).numel()), 150)
        check_share([weight_drop(torch.ones(shape), p) for _ in range(count)], p)


@pytest.mark.parametrize("p", PS)
def test_words_of_the_vocabulary_drop_as_often_as_p_says(p: float) -> None:
    for vocabulary in (1, 7, 10_001):
        tokens = torch.arange(vocabulary)
        masks = []
        for _ in range(min(-(-DRAWS // vocabulary), 150)):
            y = embedding_dropout(torch.ones(vocabulary, 3), tokens, vocabulary, p)
            assert torch.equal(y, y[:, :1].expand_as(y))
            masks.append(y[:, 0])
        check_share(masks, p)


def test_a_word_is_dropped_wherever_the_batch_has_it_as_if_the_rows_of_the_matrix_were() -> None:
    weight, tokens = torch.randn(50, 4), torch.randint(50, (6, 40))
    torch.manual_seed(2)
    y = embedding_dropout(weight[tokens], tokens, 50, 0.5)
    torch.manual_seed(2)
    assert torch.equal(y, dropout(weight, 0.5, noise_shape=(50, 1))[tokens])


def test_at_0_embeddings_come_back_and_nothing_is_drawn() -> None:
    x, before = torch.ones(3, 2), torch.get_rng_state()
    assert embedding_dropout(x, torch.arange(3), 9, 0.0) is x
    assert torch.equal(before, torch.get_rng_state())


def test_embeddings_that_do_not_fit_their_tokens_are_told() -> None:
    with pytest.raises(RuntimeError, match=r"\(\.\.\., channels\) for tokens .* got \(3, 2\) for \(2,\)$"):
        embedding_dropout(torch.ones(3, 2), torch.arange(2), 9, 0.5)
