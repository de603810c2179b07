"""`LSTMLanguageModel`: its shapes, its state, its rates by kind, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.networks import LSTMLanguageModel

TOKENS = torch.randint(10, (4, 12), generator=torch.Generator().manual_seed(1))


def all_three(p: float = 0.5, **settings: object) -> LSTMLanguageModel:
    locked = lambda: ad.LockedDropout(p, batch_first=True)  # noqa: E731
    return LSTMLanguageModel(10, 6, (8, 8), dropout=locked, embedding_p=p, weight_p=p, **settings)  # type: ignore[arg-type]


def test_the_rates_are_named_by_their_place_and_recurrent_weights_share_one() -> None:
    network = all_three(0.3)
    places = [
        "embedding",
        "input_dropout",
        "layers.0.weight_drop",
        "hidden_dropouts.0",
        "hidden_dropouts.1",
        "output_dropout",
    ]
    assert ad.get_rates(network) == dict.fromkeys(places, 0.3)
    ad.set_rates(network, {"layers.0.weight_drop": 0.1})
    assert [layer.weight_drop.p for layer in network.layers] == [0.1, 0.1, 0.1]
    rows = ad.inventory(network, TOKENS)
    assert [row.name for row in rows if row.reachable] == places
    assert {row.kind for row in rows.unreachable()} == {"LSTM"}  # its own dropout, of layers stacked inside


def test_every_kind_adds_noise_of_its_own_and_evaluation_has_none() -> None:
    network = all_three(0.0)
    assert torch.equal(network(TOKENS), network(TOKENS))
    for place in ad.get_rates(network):
        ad.set_rates(network, dict.fromkeys(ad.get_rates(network), 0.0) | {place: 0.5})
        assert not torch.equal(network(TOKENS), network(TOKENS)), place
    network.eval()
    assert torch.equal(network(TOKENS), network(TOKENS))


def test_two_halves_with_the_state_between_them_are_the_whole() -> None:
    network = all_three().eval()
    first, state = network.step(TOKENS[:, :5], None)
    second, _ = network.step(TOKENS[:, 5:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), network(TOKENS))


def test_logits_depend_on_earlier_tokens_only_and_are_of_every_time() -> None:
    network = all_three().eval()
    other = TOKENS.clone()
    other[:, 6:] = (other[:, 6:] + 1) % 10
    y, z = network(TOKENS), network(other)
    assert y.shape == (4, 12, 10)
    assert torch.equal(y[:, :6], z[:, :6])
    assert not torch.equal(y[:, 6:], z[:, 6:])


def test_tied_weights_are_one_parameter_and_every_parameter_gets_a_gradient() -> None:
    network = all_three(0.1, tied=True)
    assert network.output.weight is network.embedding.weight
    assert len(list(network.parameters())) == len(list(all_three().parameters())) - 1
    network(TOKENS).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


def test_checkpoints_load_with_and_without_the_trio() -> None:
    plain = LSTMLanguageModel(10, 6, (8, 8), dropout=nn.Identity)
    plain.load_state_dict(all_three().state_dict())
    network = all_three()
    network.load_state_dict(plain.state_dict())

    def logits(model: nn.Module) -> Tensor:
        return model.eval()(TOKENS)  # type: ignore[no-any-return]

    assert torch.equal(logits(network), logits(plain))


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match=r"^the layers of LSTM.* are \(batch, time, channels\), .*first=True$"):
        LSTMLanguageModel(10, dropout=ad.LockedDropout)
    with pytest.raises(ValueError, match=r"takes tokens \(batch, time\), but got shape \(4,\)"):
        all_three()(TOKENS[:, 0])
    with pytest.raises(ValueError, match=r"^the state is of 4 texts, but tokens of shape \(12, 4\) are of 12; tokens"):
        all_three().step(TOKENS.T, all_three().step(TOKENS, None)[1])
    with pytest.raises(ValueError, match=r"hidden has to be at least 1, but got 0"):
        LSTMLanguageModel(10, hidden=(0,))
    with pytest.raises(TypeError, match=r"^WeightDrop passes no gradient to a learned p"):
        LSTMLanguageModel(10, weight_p=ad.LearnedRate(0.1))


def test_one_layer_has_nothing_between_layers() -> None:
    network = LSTMLanguageModel(10, 6, ())
    assert list(ad.get_rates(network)) == ["input_dropout", "output_dropout"]
    assert network(TOKENS).shape == (4, 12, 10)
