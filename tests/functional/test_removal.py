"""Words are taken out: how many, which, and what becomes of padding."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import adaptive_dropout as ad
from adaptive_dropout.functional import remove_words

PS = [0.0, 0.001, 0.1, 0.5, 0.9, 1.0]


def texts(batch: int, words: int, channels: int = 2) -> Tensor:
    """Each word holds its position, from 1 on."""
    return (torch.arange(words) + 1.0).view(1, -1, 1).expand(batch, words, channels)


@pytest.mark.parametrize("words", [1, 2, 7, 40])
@pytest.mark.parametrize("p", PS)
def test_without_a_mask_the_nearest_number_of_words_goes_each_as_often(p: float, words: int) -> None:
    y, real = remove_words(texts(4000, words), p)
    left = max(words - math.floor(words * p + 0.5), 1)
    assert real is None
    assert y.shape == (4000, left, 2)
    assert (y.diff(dim=1) > 0).all()
    found = torch.stack([(y[..., 0] == word).sum() for word in range(1, words + 1)]) / 4000
    share = left / words
    assert ((found - share).abs() <= 5 * (share * (1 - share) / 4000) ** 0.5 + 1e-9).all()


@pytest.mark.parametrize("p", PS)
def test_with_a_mask_each_real_word_goes_with_exactly_p(p: float) -> None:
    sizes, words = torch.tensor([1, 3, 7, 11]), 11
    real = (torch.arange(words) < sizes[:, None]).repeat(3000, 1)
    y, left = remove_words(texts(12_000, words), p, real)
    assert left is not None
    assert y.shape[:2] == left.shape == (12_000, max(math.ceil(words * (1 - p) - 1e-6), 1) if p else words)
    held = torch.where(left, y[..., 0], 0.0).view(3000, 4, -1)
    for number, size in enumerate(sizes.tolist()):
        counts = (held[:, number] > 0).sum(-1).double()
        mean = max(size * (1 - p), 1) if p in (0, 1) or size * p <= size - 1 else None
        assert counts.min() >= 1
        assert counts.max() - counts.min() <= 1
        if mean is not None:
            assert abs(counts.mean().item() - mean) <= 5 * counts.std().item() / 3000**0.5 + 1e-4
            each = torch.stack([(held[:, number] == word).any(-1).double().mean() for word in range(1, size + 1)])
            share = mean / size
            assert ((each - share).abs() <= 5 * (share * (1 - share) / 3000) ** 0.5 + 1e-4).all()
        assert not (held[:, number] > size).any()
    order = torch.where(left, y[..., 0], math.inf)
    assert (order.diff(dim=1).nan_to_num(1.0) > 0).all()


def test_padding_may_stand_anywhere_and_an_empty_text_stays_empty() -> None:
    real = torch.tensor([[False, True, False, True, True], [False] * 5])
    y, left = remove_words(texts(2, 5), 0.4, real)
    assert left is not None
    assert left.sum(1).tolist() in ([2, 0], [1, 0])
    assert set(y[0, left[0], 0].tolist()) <= {2.0, 4.0, 5.0}


def test_the_layer_removes_in_training_and_gives_back_the_same_in_eval() -> None:
    layer, x, real = ad.WordDropout(0.5, remove=True), torch.randn(3, 8, 2, requires_grad=True), torch.ones(3, 8) > 0
    assert layer(x).shape == (3, 4, 2)
    y, left = layer(x, real)
    assert y.shape == (3, 4, 2)
    assert left.all()
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.sum() == y.numel()
    layer.p = 0.0
    assert layer(x) is x
    layer.p = 0.5
    layer.eval()
    assert layer(x) is x
    assert layer(x, real)[1] is real
    zeroing = ad.WordDropout(0.5)
    assert zeroing(x, real)[0].shape == x.shape
    assert repr(layer) == "WordDropout(p=0.5, remove=True)"


def test_wrong_input_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"takes \(batch, words, channels\), but got shape \(3, 4\)"):
        remove_words(torch.ones(3, 4), 0.5)
    with pytest.raises(ValueError, match=r"boolean, of shape \(3, 4\), but got torch.float32, \(3, 4\)"):
        remove_words(torch.ones(3, 4, 2), 0.5, torch.ones(3, 4))
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
        remove_words(torch.ones(3, 4, 2), torch.tensor(1.5))
    # A p of which the value is known to Python alone is no less a p.
    rate = ad.SettableRate(0.5)
    assert remove_words(torch.ones(3, 4, 2), rate.value)[0].shape == (3, 2, 2)
