"""Mean and variance of every layer's noise against their closed forms, in units of the standard error."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy import integrate, special
from torch import Tensor

import adaptive_dropout as ad
from adaptive_dropout.noise.concrete import keep_mean

PS = [0.0, 0.001, 0.05, 0.3, 0.5, 0.9, 1.0]
N = 400_000
ALPHA_PRIME = -1.7580993408473766


def dropped_or_scaled(x: Tensor, p: float) -> tuple[Tensor, Tensor]:
    return x, x**2 * (p / (1 - p))


def alpha(x: Tensor, p: float) -> tuple[Tensor, Tensor]:
    q = 1 - p
    a = (q + ALPHA_PRIME**2 * q * p) ** -0.5
    return a * q * x, a**2 * q * p * (x - ALPHA_PRIME) ** 2


def concrete_moment(p: float, temperature: float, power: int) -> float:
    """E[(1 - z)^power] by quadrature over the logistic variable, independent of the library's own formula."""

    def integrand(s: float) -> float:
        density = special.expit(s) * special.expit(-s)
        return float(density * special.expit((special.logit(1 - p) + s) / temperature) ** power)

    kink = float(-special.logit(1 - p))
    value, _ = integrate.quad(integrand, -40, 40, points=[kink], limit=500)
    return value


def concrete(temperature: float) -> Callable[[Tensor, float], tuple[Tensor, Tensor]]:
    def moments(x: Tensor, p: float) -> tuple[Tensor, Tensor]:
        if p == 0:
            return x, 0 * x
        first, second = (concrete_moment(p, temperature, power) for power in (1, 2))
        return x, x**2 * (second / first**2 - 1)

    return moments


# layer, shape of the input, closed form of (mean, variance) given x
CASES = {
    "Dropout": ((N,), dropped_or_scaled),
    "Dropout1d": ((1000, N // 1000, 1), dropped_or_scaled),
    "Dropout2d": ((1000, N // 1000, 1, 1), dropped_or_scaled),
    "Dropout3d": ((1000, N // 1000, 1, 1, 1), dropped_or_scaled),
    "AlphaDropout": ((N,), alpha),
    "FeatureAlphaDropout": ((1000, N // 1000, 1), alpha),
    "DropBlock1d": ((1000, N // 1000, 1), dropped_or_scaled),
    "DropBlock2d": ((1000, N // 1000, 1, 1), dropped_or_scaled),
    "DropBlock3d": ((1000, N // 1000, 1, 1, 1), dropped_or_scaled),
    "DropPath": ((N, 1), dropped_or_scaled),
    "LockedDropout": ((1, 1000, N // 1000), dropped_or_scaled),
    "WeightDrop": ((N,), dropped_or_scaled),
    "PatchDropout": ((N // 10, 1, 1, 1), dropped_or_scaled),  # a patch an image, which takes ten times as long
    "WordDropout": ((N, 1), dropped_or_scaled),
    "BernoulliDropout": ((N,), dropped_or_scaled),
    "GaussianDropout": ((N,), dropped_or_scaled),
    "VariationalDropout": ((N,), dropped_or_scaled),
    "ConcreteDropout": ((N,), concrete(0.1)),
    "ConcreteDropout1d": ((1000, N // 1000, 1), concrete(2 / 3)),
    "ConcreteDropout2d": ((1000, N // 1000, 1, 1), concrete(2 / 3)),
    "ConcreteDropout3d": ((1000, N // 1000, 1, 1, 1), concrete(2 / 3)),
}

# One always stays: tests/functional/test_attention_noise.py. Most always stay: test_targeted_dropout.py.
ELSEWHERE = {"DropHead", "DropKey", "TargetedDropout", "TargetedUnitDropout"}


def test_every_layer_has_its_closed_form_here() -> None:
    exported = [getattr(ad, name) for name in ad.__all__]
    layers = {c.__name__ for c in exported if isinstance(c, type) and issubclass(c, ad.NoiseLayer)}
    assert layers - {"NoiseLayer"} - ELSEWHERE == set(CASES)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("name", CASES)
def test_mean_and_variance_are_the_closed_form(name: str, p: float, dtype: torch.dtype) -> None:
    shape, closed_form = CASES[name]
    layer = getattr(ad, name)(ad.SettableRate(p))
    # A spread of inputs, so that rounding a bfloat16 result to 8 bits averages out.
    x = (1 + torch.rand(shape)).to(dtype)
    y = layer(x).double()
    if p == 1:
        assert not y.any()
        return
    mean, variance = closed_form(x.double(), p)
    if p == 0:
        assert torch.equal(y, mean)
        return
    # The result is rounded to dtype, by eps / 2 at most; y^2 by twice that. In float32 this is far below 5 sigma.
    relative, half_ulp = (y - mean) / x.double(), torch.finfo(dtype).eps / 2
    size = (y / x.double()).abs().mean().item()
    assert within_5_standard_errors(relative, half_ulp * size)
    spread = relative**2 - variance / x.double() ** 2
    assert within_5_standard_errors(spread, 2 * half_ulp * (relative.abs() * y.abs() / x.double()).mean().item())


def within_5_standard_errors(samples: Tensor, rounding: float = 1e-12) -> bool:
    standard_error = samples.std().item() / math.sqrt(samples.numel())
    return abs(samples.mean().item()) < 5 * standard_error + rounding


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("name", CASES)
def test_bfloat16_is_the_float32_result_rounded_once(name: str, p: float) -> None:
    # So the noise itself, and with it mean and variance, has float32's accuracy whatever the dtype of the input.
    layer = getattr(ad, name)(ad.SettableRate(p))
    x = torch.rand(50, 40, *(1,) * (len(CASES[name][0]) - 2)).bfloat16()
    torch.manual_seed(1)
    y = layer(x)
    torch.manual_seed(1)
    assert torch.equal(y, layer(x.float()).bfloat16())


@pytest.mark.parametrize("temperature", [0.05, 0.1, 2 / 3, 1.0, 2.0])
@pytest.mark.parametrize("p", [0.001, 0.05, 0.3, 0.5, 0.9, 0.999])
def test_concrete_keep_mean_equals_quadrature(p: float, temperature: float) -> None:
    ours = keep_mean(torch.tensor(p, dtype=torch.float64), temperature).item()
    assert ours == pytest.approx(concrete_moment(p, temperature, 1), rel=1e-6)


def test_concrete_variance_formula_of_the_docstring_holds() -> None:
    p, temperature = torch.tensor(0.3, dtype=torch.float64), 2 / 3
    logit = torch.logit(p).requires_grad_()
    mean = keep_mean(torch.sigmoid(logit), temperature)
    (slope,) = torch.autograd.grad(mean, logit)  # dM/dc = -dM/dlogit(p)
    variance = ((mean + temperature * slope) / mean**2 - 1).item()
    first, second = (concrete_moment(0.3, temperature, power) for power in (1, 2))
    assert variance == pytest.approx(second / first**2 - 1, rel=1e-6)


def test_the_paper_s_division_by_q_would_lose_five_percent_at_two_thirds() -> None:
    # The size of the correction, as published numbers have it: 5 to 6 % at p = .1 to .3, under .3 % at T = .1.
    for p in (0.1, 0.2, 0.3):
        assert 0.04 < 1 - concrete_moment(p, 2 / 3, 1) / (1 - p) < 0.065
        assert abs(1 - concrete_moment(p, 0.1, 1) / (1 - p)) < 0.003


def test_alpha_dropout_keeps_mean_0_and_variance_1_of_normal_input() -> None:
    y = ad.AlphaDropout(0.3)(torch.randn(N)).double()
    assert within_5_standard_errors(y)
    assert within_5_standard_errors(y**2 - 1)


def test_small_p_is_exact_in_bfloat16() -> None:
    # Uniforms drawn in bfloat16 would drop 0.0029 here.
    dropped = (ad.Dropout(0.001)(torch.ones(N, dtype=torch.bfloat16)) == 0).double()
    assert within_5_standard_errors(dropped - 0.001)


def test_channelwise_layers_give_one_value_a_channel() -> None:
    x = torch.ones(20, 30, 4, 5)
    for layer in (ad.Dropout2d(0.5), ad.ConcreteDropout2d(0.5), ad.FeatureAlphaDropout(0.5)):
        y = layer(x)
        assert torch.equal(y, y[..., :1, :1].expand_as(y))
        assert y[..., 0, 0].std() > 0
