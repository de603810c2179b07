"""What all reference networks promise: in each place a new dropout layer from the factory, found by its name."""

from __future__ import annotations

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.modules import Dropout
from adaptive_dropout.networks import CNN, GPT, MLP, LSTMLanguageModel
from adaptive_dropout.schedules import LinearSchedule

IMAGES = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(1))
TOKENS = torch.randint(10, (16, 8), generator=torch.Generator().manual_seed(1))
BLOCK = ("attention.dropout", "residual_dropout1", "residual_dropout2")
GPT_PLACES = ["embedding_dropout", *(f"blocks.{i}.{place}" for i in range(2) for place in BLOCK)]
LSTM_PLACES = ["input_dropout", "hidden_dropouts.0", "output_dropout"]
NETWORKS = {
    "mlp": (lambda **kw: MLP(64, 10, **kw), IMAGES, ["dropout1", "dropout2"]),
    "deep mlp": (lambda **kw: MLP(64, 10, hidden=[32, 16, 8], **kw), IMAGES, ["dropout1", "dropout2", "dropout3"]),
    "cnn": (lambda **kw: CNN(1, 10, image_size=8, **kw), IMAGES, ["dropout1", "dropout2", "dropout3"]),
    "lstm": (lambda **kw: LSTMLanguageModel(10, 16, (12,), **kw), TOKENS, LSTM_PLACES),
    "gpt": (lambda **kw: GPT(10, context=8, channels=16, **kw), TOKENS, GPT_PLACES),
}
each_network = pytest.mark.parametrize(("build", "x", "places"), NETWORKS.values(), ids=NETWORKS.keys())


@each_network
def test_every_place_has_a_new_layer_with_a_rate_of_its_own(build, x, places):
    network = build(dropout=lambda: Dropout(0.3))
    assert ad.get_rates(network) == dict.fromkeys(places, 0.3)
    ad.set_rates(network, {places[0]: 0.1})
    assert ad.get_rates(network) == dict.fromkeys(places, 0.3) | {places[0]: 0.1}


@each_network
def test_default_is_this_library_s_dropout_at_one_half(build, x, places):
    assert [type(build().get_submodule(place)) for place in places] == [Dropout] * len(places)
    assert {build().get_submodule(place).p for place in places} == {0.5}


@each_network
def test_every_parameter_gets_a_gradient(build, x, places):
    network = build(dropout=nn.Identity)
    network(x).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


@each_network
def test_training_mode_is_noisy_and_eval_mode_is_not(build, x, places):
    network = build()
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@each_network
def test_every_single_rate_adds_noise_of_its_own(build, x, places):
    network = build(dropout=lambda: Dropout(0.0))
    assert torch.equal(network(x), network(x))
    for place in places:
        ad.set_rates(network, dict.fromkeys(places, 0.0) | {place: 0.5})
        assert not torch.equal(network(x), network(x)), place


@each_network
def test_learned_rates_all_get_a_gradient(build, x, places):
    network = build(dropout=lambda: ad.GaussianDropout(ad.LearnedRate(0.1)))
    network(x).square().sum().backward()
    rates = dict(ad.named_rates(network))
    assert list(rates) == places
    assert all(rate.logit.grad.abs() > 0 for rate in rates.values())


@each_network
def test_a_layer_in_place_of_a_factory_is_refused(build, x, places):
    with pytest.raises(TypeError, match=r"^dropout has to make layers, such as lambda: Dropout\(p=0\.3, .* itself$"):
        build(dropout=Dropout(0.3))


CONFIG = """
network:
  class_path: adaptive_dropout.networks.MLP
  init_args:
    in_features: 64
    out_features: 10
    hidden: [16, 16]
    dropout:
      class_path: adaptive_dropout.modules.Dropout
      init_args:
        p: {p}
"""


def from_yaml(p):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--network", type=nn.Module)
    return parser.instantiate(parser.parse_string(CONFIG.format(p=p))).network


def test_yaml_builds_a_new_layer_for_each_place():
    network = from_yaml("0.3")
    network.dropout1.p = 0.1
    assert (network.dropout1.p, network.dropout2.p) == (0.1, 0.3)


def test_yaml_gives_each_place_a_rate_of_its_own_on_one_schedule():
    schedule = "{class_path: adaptive_dropout.schedules.LinearSchedule, init_args: {start: 0.4, end: 0.0, steps: 10}}"
    network = from_yaml(schedule)
    assert network.dropout1.rate is not network.dropout2.rate
    for layer in (network.dropout1, network.dropout2):
        assert layer.rate.schedule == LinearSchedule(0.4, 0.0, steps=10)
