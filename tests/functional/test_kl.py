"""Divergences of Gaussian dropout against independent oracles: quadrature of the definition, Dawson's function."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import integrate, special
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from adaptive_dropout.functional import exact_kl, kingma_kl, molchanov_kl
from adaptive_dropout.functional.kl import exact_kl_reference

# Of torch itself, the first time that it differentiates forwards.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*is deprecated")

TABLE = {0.05: 2.105715, 0.1: 1.724138, 0.25: 1.155533, 0.5: 0.739442, 1: 0.426686, 2: 0.230484, 10: 0.049178}
every_kl = pytest.mark.parametrize("kl", [exact_kl, kingma_kl, molchanov_kl])


def line(dtype: torch.dtype = torch.float64, low: float = -20, high: float = 20) -> Tensor:
    return torch.linspace(low, high, 2001, dtype=torch.float64).to(dtype)


def dawson_over_root(u: np.ndarray) -> np.ndarray:
    return special.dawsn(np.sqrt(u)) / np.sqrt(u)


@pytest.mark.parametrize("alpha", TABLE)
def test_the_exact_divergence_has_the_values_of_the_table(alpha: float) -> None:
    ln_alpha = torch.tensor(alpha, dtype=torch.float64).log()
    assert exact_kl(ln_alpha).item() == pytest.approx(TABLE[alpha], abs=6e-7)


@pytest.mark.parametrize("alpha", [0.02, 0.3, 1.0, 7.0, 200.0])
def test_the_reference_is_the_expectation_of_the_definition(alpha: float) -> None:
    def integrand(e: float) -> float:
        return math.log(abs(1 + math.sqrt(alpha) * e)) * math.exp(-e * e / 2) / math.sqrt(2 * math.pi)

    pole = -1 / math.sqrt(alpha)
    halves = [integrate.quad(integrand, a, b, limit=500)[0] for a, b in ((-40, pole), (pole, 40))]
    defined = -math.log(alpha) / 2 + sum(halves) + (np.euler_gamma + math.log(2)) / 2
    assert exact_kl_reference(torch.tensor(alpha).double().log()).item() == pytest.approx(defined, abs=1e-7)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-13), (torch.float32, 1e-6), (torch.bfloat16, 1e-6)])
def test_the_series_is_the_integral_from_alpha_2e_9_to_5e8(dtype: torch.dtype, error: float) -> None:
    ln_alpha = line(dtype)
    torch.testing.assert_close(exact_kl(ln_alpha).double(), exact_kl_reference(ln_alpha), rtol=error, atol=0)


def test_the_slope_of_the_exact_divergence_is_dawsons_function() -> None:
    ln_alpha = line().requires_grad_()
    (slope,) = torch.autograd.grad(exact_kl(ln_alpha).sum(), ln_alpha)
    u = np.exp(-ln_alpha.detach().numpy()) / 2
    np.testing.assert_allclose(slope.numpy(), -u * dawson_over_root(u), rtol=1e-11)


def test_the_curvature_is_what_the_differential_equation_of_dawsons_function_says() -> None:
    ln_alpha = line(low=-5).requires_grad_()
    (slope,) = torch.autograd.grad(exact_kl(ln_alpha).sum(), ln_alpha, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), ln_alpha)
    u = np.exp(-ln_alpha.detach().numpy()) / 2
    d = dawson_over_root(u)
    # The two terms cancel where u is large, up to 74 here: u^2 times the rounding of d, some 1e-16, is 1e-12.
    np.testing.assert_allclose(curvature.numpy(), u * ((1 + d) / 2 - u * d), rtol=1e-10, atol=1e-11)


@every_kl
def test_first_second_and_forward_derivatives_are_right(kl: Callable[[Tensor], Tensor]) -> None:
    ln_alpha = torch.tensor([-12.0, -5.0, -3.0, -1.2, -0.4, -0.01], dtype=torch.float64, requires_grad=True)
    assert gradcheck(kl, ln_alpha, check_forward_ad=True)
    assert gradgradcheck(kl, ln_alpha)


@pytest.mark.slow
@every_kl
def test_the_divergence_works_under_vmap_and_compile(kl: Callable[[Tensor], Tensor]) -> None:
    ln_alpha = -torch.rand(4, 3)
    torch.testing.assert_close(torch.vmap(kl)(ln_alpha), kl(ln_alpha))
    torch._dynamo.reset()
    leaf, clone = (ln_alpha.clone().requires_grad_() for _ in range(2))
    torch.compile(kl, backend="aot_eager", fullgraph=True)(leaf).sum().backward()
    kl(clone).sum().backward()
    torch.testing.assert_close(leaf.grad, clone.grad)


@pytest.mark.parametrize("kl", [exact_kl, molchanov_kl])
def test_a_divergence_for_all_alphas_is_positive_and_falls_to_0(kl: Callable[[Tensor], Tensor]) -> None:
    values = kl(line(torch.float32, high=60))
    assert (values > 0).all()
    assert (values.diff() < 0).all()
    assert values[-1] < 1e-20
    assert kl(torch.tensor([-1e4, 1e4])).isfinite().all()


def test_molchanovs_form_errs_by_less_than_a_hundredth() -> None:
    error = (molchanov_kl(line()) - exact_kl(line())).abs().max().item()
    assert 0.009 < error < 0.0095


def test_kingmas_polynomial_is_exact_for_small_alpha_and_then_up_to_0_041_below() -> None:
    difference = kingma_kl(line(high=0)) - exact_kl(line(high=0))
    assert abs(difference[0].item()) < 1e-8
    assert -0.041 < difference.min() < -0.039
    assert difference.max() < 1e-8


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@every_kl
def test_half_precision_gives_float32(kl: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    ln_alpha = torch.tensor([-3.0, -0.5], dtype=dtype)
    assert torch.equal(kl(ln_alpha), kl(ln_alpha.float()))


def test_kingmas_polynomial_refuses_an_alpha_above_1() -> None:
    assert kingma_kl(torch.zeros(3)).isfinite().all()
    with pytest.raises(ValueError, match=r"alpha <= 1, p <= 0\.5, but got alpha = 2.*use exact_kl, or clamp"):
        kingma_kl(torch.tensor([0.5, 2.0]).log())
