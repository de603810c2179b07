"""No layer waits for the device, forward or backward, and neither does a change of its rate."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from tests.contracts import input_for
from tests.gpu.waiting import forbid_waiting
from tests.test_contracts import exported

NOISE_LAYERS = exported(ad.NoiseLayer)
LEARNED = [kind for kind in NOISE_LAYERS if kind.learnable and kind is not ad.BernoulliDropout]
OTHERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "VariationalLinear": (lambda: ad.VariationalLinear(6, 4), (64, 6)),
    "SparseLinear": (lambda: ad.SparseLinear(6, 4), (64, 6)),
    "SparseConv1d": (lambda: ad.SparseConv1d(6, 4, 3), (8, 6, 5)),
    "SparseConv2d": (lambda: ad.SparseConv2d(6, 4, 3), (8, 6, 5, 4)),
    "SparseConv3d": (lambda: ad.SparseConv3d(6, 4, 3), (8, 6, 5, 4, 3)),
    "Standout": (lambda: ad.Standout(nn.Linear(6, 4), nn.ReLU()), (64, 6)),
    "ContextualDropout": (lambda: ad.ContextualDropout(6), (64, 6)),
    "ContextualDropout2d": (lambda: ad.ContextualDropout2d(6), (8, 6, 5, 4)),
    "ConcreteLayer": (lambda: ad.ConcreteLayer(nn.Linear(6, 4), ad.ConcreteDropout(0.1), 0.1), (64, 6)),
}


def check(layer: nn.Module, shape: tuple[int, ...], device: torch.device) -> None:
    layer.to(device).train()
    x = torch.randn(shape, device=device, requires_grad=True)
    layer(x).sum().backward()  # compiles the kernels
    with forbid_waiting():
        y = layer(x)
        y.sum().backward()


@pytest.mark.parametrize("layer_class", NOISE_LAYERS)
def test_a_settable_layer_does_not_wait_while_its_rate_moves(
    layer_class: type[ad.NoiseLayer], device: torch.device
) -> None:
    model = nn.Sequential(layer_class(ad.SettableRate(0.3)).to(device))
    x = input_for(layer_class(ad.SettableRate(0.3))).to(device).requires_grad_()
    model(x).sum().backward()
    with forbid_waiting():
        for p in (0.0, 0.2, 0.4, 1.0):
            ad.set_rates(model, {"0": p})
            model(x).sum().backward()


@pytest.mark.parametrize("layer_class", LEARNED)
def test_a_learned_layer_does_not_wait(layer_class: type[ad.NoiseLayer], device: torch.device) -> None:
    shape = tuple(input_for(layer_class(ad.SettableRate(0.3))).shape)
    check(layer_class(ad.LearnedRate(0.3)), shape, device)


def test_gaussian_noise_with_a_p_for_each_feature_does_not_wait(device: torch.device) -> None:
    check(ad.GaussianDropout(ad.LearnedRate(0.3, (6,))), (64, 6), device)


@pytest.mark.parametrize("name", OTHERS)
def test_a_layer_with_weights_of_its_own_does_not_wait(name: str, device: torch.device) -> None:
    make, shape = OTHERS[name]
    check(make(), shape, device)


def test_every_exported_layer_is_here() -> None:
    public = [kind for name in ad.__all__ if isinstance(kind := getattr(ad, name), type)]
    layers = {kind.__name__ for kind in public if issubclass(kind, nn.Module) and not issubclass(kind, ad.Rate)}
    bases = {"NoiseLayer", "Penalised", "SparseLayer"}
    assert layers - bases == {kind.__name__ for kind in NOISE_LAYERS} | OTHERS.keys()
