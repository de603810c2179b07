"""Every layer on a device: it drops as often as p says, its gradient is its mask, and at 0 it draws nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import adaptive_dropout as ad
from tests.contracts import input_for
from tests.test_contracts import exported

# Layer, shape of the input, independent draws in it. These multiply by 0 or 1 / (1 - p).
MASKS: dict[type[ad.NoiseLayer], tuple[tuple[int, ...], int]] = {
    ad.Dropout: ((1024, 1024), 1024 * 1024),
    ad.BernoulliDropout: ((1024, 1024), 1024 * 1024),
    ad.Dropout1d: ((64, 256, 64), 64 * 256),
    ad.Dropout2d: ((64, 256, 8, 8), 64 * 256),
    ad.Dropout3d: ((16, 256, 4, 8, 8), 16 * 256),
    ad.DropPath: ((4096, 64), 4096),
    ad.LockedDropout: ((4, 256, 256), 256 * 256),
    ad.WeightDrop: ((1024, 1024), 1024 * 1024),
    ad.WordDropout: ((64, 256, 16), 64 * 256),
}


# The mean of alpha dropout is not 1, that of scores minus infinity; heads have the mean 1 in each draw; the times of
# locked dropout, which come first, are not independent.
OTHERS = {"AlphaDropout", "DropHead", "DropKey", "FeatureAlphaDropout", "LockedDropout"}


@pytest.mark.parametrize("p", [0.0, 0.001, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("layer_class", MASKS)
def test_it_drops_as_often_as_p_says_and_its_gradient_is_its_mask(
    layer_class: type[ad.NoiseLayer], p: float, device: torch.device
) -> None:
    shape, draws = MASKS[layer_class]
    x = torch.ones(shape, device=device, requires_grad=True)
    y = layer_class(ad.SettableRate(p)).to(device)(x)
    dropped = (y == 0).double().mean().item()
    assert abs(dropped - p) <= 5 * (p * (1 - p) / draws) ** 0.5 + 2**-17  # half a step of the threshold
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y.detach())


@pytest.mark.parametrize("p", [0.05, 0.3])
@pytest.mark.parametrize("layer_class", [kind for kind in exported(ad.NoiseLayer) if kind.__name__ not in OTHERS])
def test_the_noise_has_mean_1(layer_class: type[ad.NoiseLayer], p: float, device: torch.device) -> None:
    layer = layer_class(ad.SettableRate(p))
    one = input_for(layer)[:1].to(device)
    layer.to(device)
    examples = torch.cat([layer(one.expand(64, *one.shape[1:])).flatten(1).mean(1) for _ in range(40)]).double()
    assert abs(examples.mean() - 1).item() <= 5 * (examples.std() / len(examples) ** 0.5).item()


def states(device: torch.device) -> list[Tensor]:
    return [torch.get_rng_state(), torch.cuda.get_rng_state(device)]


def moves(call: Callable[[], Tensor], device: torch.device) -> bool:
    before = states(device)
    call()
    return not all(map(torch.equal, before, states(device)))


@pytest.mark.parametrize("layer_class", exported(ad.NoiseLayer))
def test_at_0_it_draws_nothing_and_passes_the_gradient_on(
    layer_class: type[ad.NoiseLayer], device: torch.device
) -> None:
    layer = layer_class(ad.SettableRate(0.0)).to(device)
    x = input_for(layer_class(ad.SettableRate(0.4))).to(device).requires_grad_()
    assert not moves(lambda: layer(x), device)
    (gradient,) = torch.autograd.grad(layer(x).sum(), x)
    assert torch.equal(gradient, torch.ones_like(x))
    layer.p = 0.4
    assert moves(lambda: layer(x), device)
    layer.p = 0.0
    assert not moves(lambda: layer(x), device)


@pytest.mark.parametrize("layer_class", exported(ad.NoiseLayer))
def test_a_seed_fixes_the_noise(layer_class: type[ad.NoiseLayer], device: torch.device) -> None:
    layer = layer_class(ad.SettableRate(0.4)).to(device)
    x = input_for(layer_class(ad.SettableRate(0.4))).to(device)
    first, other, again = (torch.manual_seed(seed) and layer(x) for seed in (3, 4, 3))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
