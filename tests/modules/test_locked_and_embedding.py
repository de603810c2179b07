"""`LockedDropout` beside recurrent layers, and `EmbeddingDropout` as an embedding."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

import adaptive_dropout as ad
from adaptive_dropout.functional import embedding_dropout
from tests.fake_device import backward, fake_cuda, no_waits

TOKENS = torch.randint(9, (4, 12), generator=torch.Generator().manual_seed(1))


def test_the_layout_is_said_by_name_or_taken_from_the_neighbour() -> None:
    assert repr(ad.LockedDropout(0.25)) == "LockedDropout(p=0.25, batch_first=False)"
    for batch_first in (False, True):
        for neighbour in (nn.LSTM(4, 3, batch_first=batch_first), nn.MultiheadAttention(4, 2, batch_first=batch_first)):
            layer = ad.LockedDropout.beside(neighbour, ad.ConstantSchedule(0.25))
            assert (layer.batch_first, layer.p) == (batch_first, 0.25)
            assert repr(layer).startswith(f"LockedDropout(p=0.25, batch_first={batch_first}, rate=")


def test_public_defect_a_layout_that_nobody_said_is_refused_in_one_line() -> None:
    with pytest.raises(TypeError, match=r"^Linear does not say whether batches come first, as nn.LSTM does; give"):
        ad.LockedDropout.beside(nn.Linear(4, 3))
    with pytest.raises(TypeError, match=r"^batch_first has to be True or False, but got 1$"):
        ad.LockedDropout(0.5, batch_first=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="positional"):
        ad.LockedDropout(0.5, True)  # type: ignore[misc]


def test_a_packed_sequence_goes_through_layer_and_lstm() -> None:
    lstm = nn.LSTM(4, 3)
    layer = ad.LockedDropout.beside(lstm, 0.5)
    packed = pack_sequence([torch.ones(2, 4), torch.ones(5, 4)], enforce_sorted=False)
    y, _ = lstm(layer(packed))
    assert torch.equal(y.sorted_indices, packed.sorted_indices)
    assert not torch.equal(layer(packed).data, packed.data)
    assert layer.eval()(packed) is packed


def test_words_are_dropped_in_training_and_the_weight_is_not_written() -> None:
    layer = ad.EmbeddingDropout(9, 5, p=0.5)
    before = layer.weight.detach().clone()
    y = layer(TOKENS)
    zero = (y == 0).all(-1)
    assert 0 < zero.sum() < zero.numel()
    for token in range(9):
        assert len(zero[token == TOKENS].unique()) <= 1, "a word was dropped in one place only"
    y.sum().backward()
    assert torch.equal(layer.weight, before)
    assert torch.equal(layer.weight.grad[TOKENS[zero].unique()], torch.zeros(len(TOKENS[zero].unique()), 5))


def test_public_defect_evaluation_is_that_of_a_plain_embedding_and_keys_stay() -> None:
    layer, plain = ad.EmbeddingDropout(9, 5, p=0.5, padding_idx=2).eval(), nn.Embedding(9, 5, padding_idx=2)
    plain.load_state_dict(layer.state_dict())
    layer.load_state_dict(plain.state_dict())
    assert isinstance(layer, nn.Embedding)
    assert torch.equal(layer(TOKENS), plain(TOKENS))
    assert repr(layer) == "EmbeddingDropout(9, 5, padding_idx=2, p=0.5)"


def test_an_embedding_follows_its_rate_and_its_copies_do_not() -> None:
    layer = ad.EmbeddingDropout(9, 5, p=0.0)
    assert torch.equal(layer(TOKENS), layer.weight[TOKENS])
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        twin.p = 1.0
        assert not twin(TOKENS).any()
    assert layer.p == 0.0
    model = nn.Sequential(layer)
    assert ad.get_rates(model) == {"0": 0.0}
    assert [(row.name, row.kind, row.reachable) for row in ad.inventory(model)] == [("0", "EmbeddingDropout", True)]
    scheduled = ad.EmbeddingDropout(9, 5, p=ad.ConstantSchedule(0.25))
    assert repr(scheduled).startswith("EmbeddingDropout(9, 5, p=0.25, rate=")
    with ad.mc_dropout(model.eval()):
        assert layer.training
    with pytest.raises(TypeError, match=r"^EmbeddingDropout passes no gradient to a learned p"):
        ad.EmbeddingDropout(9, 5, p=ad.LearnedRate(0.1))
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
        ad.EmbeddingDropout(9, 5, p=1.5)


def test_a_pretrained_or_sparse_embedding_drops_too() -> None:
    layer = ad.EmbeddingDropout.from_pretrained(torch.ones(9, 2), freeze=False, sparse=True)
    layer.p = 0.5
    y = layer(TOKENS)
    y.sum().backward()
    assert layer.weight.grad.is_sparse
    assert set(y.unique().tolist()) == {0.0, 2.0}
    layer.bfloat16()
    assert layer(TOKENS).dtype == torch.bfloat16
    assert layer.rate.value.dtype == torch.float32


def test_an_embedding_is_recorded_as_one_call_and_compiles_once(short_noise: None) -> None:
    model, graphs = nn.Sequential(ad.EmbeddingDropout(9, 5, p=0.5)), []
    graph = torch.fx.symbolic_trace(model)
    assert [node.target for node in graph.graph.nodes if node.op == "call_module"] == ["0"]
    torch._dynamo.reset()
    compiled = torch.compile(model, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True)
    for step in range(10):
        model[0].p = step / 10
        torch.manual_seed(step)
        first = compiled(TOKENS)
        torch.manual_seed(step)
        assert torch.equal(first, model(TOKENS))
    assert len(graphs) == 1


def test_examples_of_a_vmapped_function_lose_words_of_their_own() -> None:
    weight = torch.ones(9, 2)
    drop = torch.func.vmap(lambda t: embedding_dropout(weight[t], t, 9, 0.5), randomness="different")
    y = drop(torch.arange(9).expand(50, 9))
    assert not torch.equal(y[0], y[1])
    assert abs((y == 0).double().mean().item() - 0.5) < 5 * (0.25 / 450) ** 0.5


def test_no_layer_waits_for_a_device() -> None:
    with fake_cuda():
        embedding = ad.EmbeddingDropout(9, 4, p=0.5)
        linear = ad.WeightDrop.on(nn.Linear(4, 3), "weight", p=0.5)
        locked = ad.LockedDropout(0.5, batch_first=True)
        tokens = torch.zeros(2, 5, dtype=torch.int64)
        with no_waits():
            backward(linear(locked(embedding(tokens))).square().mean())
    assert embedding.weight.grad is not None
    assert linear.weight.grad is not None
