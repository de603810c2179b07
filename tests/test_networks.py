"""The reference networks: dropout in the classical places, a new layer each time, sizes checked at construction."""

from __future__ import annotations

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from adaptive_dropout.modules import Dropout
from adaptive_dropout.networks import CNN, MLP
from adaptive_dropout.schedules import LinearSchedule

NETWORKS = {
    "mlp": (lambda **kw: MLP(64, 10, **kw), ["dropout1", "dropout2"]),
    "deep mlp": (lambda **kw: MLP(64, 10, hidden=[32, 16, 8], **kw), ["dropout1", "dropout2", "dropout3"]),
    "cnn": (lambda **kw: CNN(1, 10, image_size=8, **kw), ["dropout1", "dropout2", "dropout3"]),
}
each_network = pytest.mark.parametrize(("build", "places"), NETWORKS.values(), ids=NETWORKS.keys())


@each_network
def test_every_place_has_a_new_layer_with_a_rate_of_its_own(build, places):
    network = build(dropout=lambda: Dropout(0.3))
    layers = {name: part for name, part in network.named_modules() if isinstance(part, Dropout)}
    assert list(layers) == places
    assert [layer.p for layer in layers.values()] == [0.3] * len(places)
    network.dropout1.p = 0.1
    assert [layer.p for layer in layers.values()] == [0.1] + [0.3] * (len(places) - 1)


@each_network
def test_default_is_this_library_s_dropout_at_one_half(build, places):
    assert [type(build().get_submodule(place)) for place in places] == [Dropout] * len(places)
    assert {build().get_submodule(place).p for place in places} == {0.5}


@each_network
def test_digits_become_ten_numbers_and_every_parameter_gets_a_gradient(build, places):
    torch.manual_seed(0)
    network = build(dropout=nn.Identity)
    y = network(torch.rand(16, 1, 8, 8))
    assert y.shape == (16, 10)
    y.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


@each_network
def test_training_mode_is_noisy_and_eval_mode_is_not(build, places):
    torch.manual_seed(0)
    network, x = build(), torch.rand(4, 1, 8, 8)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_mlp_is_dense_relu_dropout_and_a_dense_output():
    kinds = [type(part) for part in MLP(6, 2, hidden=(4,))]
    assert kinds == [nn.Flatten, nn.Linear, nn.ReLU, Dropout, nn.Linear]


def test_cnn_is_two_convolutions_and_two_dense_layers_with_three_dropouts():
    block = [nn.Conv2d, nn.ReLU, nn.MaxPool2d, Dropout]
    kinds = [type(part) for part in CNN(1, 10)]
    assert kinds == [*block, *block, nn.Flatten, nn.Linear, nn.ReLU, Dropout, nn.Linear]


@pytest.mark.parametrize(("size", "colours"), [(4, 1), (7, 1), (8, 1), (28, 1), (32, 3), (65, 3)])
def test_cnn_takes_images_of_the_stated_size(size, colours):
    assert CNN(colours, 5, image_size=size)(torch.rand(2, colours, size, size)).shape == (2, 5)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: MLP(0, 10), ValueError, "in_features has to be at least 1, but got 0"),
        (lambda: MLP(64, -1), ValueError, "out_features has to be at least 1, but got -1"),
        (lambda: MLP(64, 10, hidden=[8, 0]), ValueError, "hidden has to be at least 1, but got 0"),
        (lambda: MLP(64, 10, hidden=[8.5]), TypeError, "hidden has to be a whole number, but got 8.5"),
        (lambda: MLP(64, 10, hidden=[]), ValueError, "hidden has to hold at least one size, but got []"),
        (lambda: CNN(0, 10), ValueError, "in_channels has to be at least 1, but got 0"),
        (lambda: CNN(1, 10, channels=()), ValueError, "channels has to hold at least one size, but got ()"),
        (lambda: CNN(1, 10, hidden=True), TypeError, "hidden has to be a whole number, but got True"),
        (
            lambda: CNN(1, 10, image_size=3),
            ValueError,
            "image_size has to be at least 4, because 2 poolings halve it, but got 3",
        ),
    ],
)
def test_bad_sizes_are_refused_at_construction(build, error, message):
    with pytest.raises(error) as caught:
        build()
    assert str(caught.value) == message


def test_a_layer_in_place_of_a_factory_is_refused():
    with pytest.raises(TypeError, match=r"^dropout has to make layers, such as lambda: Dropout\(p=0\.3, .* itself$"):
        MLP(64, 10, dropout=Dropout(0.3))


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
