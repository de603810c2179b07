"""The divergence of Gaussian dropout from its prior as a function of ln alpha: exact, and as published.

    KL(alpha) = -1/2 ln alpha + E ln|1 + sqrt(alpha) e| + (gamma + ln 2) / 2,  e standard normal

Its derivative by u = 1 / (2 alpha) is D(sqrt u) / sqrt u, with Dawson's D(x) / x = int_0^1 exp(-x^2 (1 - v^2)) dv. With
v = tanh y it integrates to int_0^inf 1 - exp(-u sech^2 y) dy, in which nothing cancels. `exact_kl` subtracts the term
1/2 ln(1 + 1 / alpha) of Molchanov et al.; the rest is s^2 times a polynomial in s = sigmoid(-ln alpha - 2), to any
accuracy. The derivatives of the rest by ln alpha have the same form, so each costs as little as the value.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from adaptive_dropout.noise.backend import on_kernels, readable
from adaptive_dropout.noise.settings import work_dtype

__all__ = ["exact_kl", "exact_kl_reference", "kingma_kl", "molchanov_kl"]

Numbers = np.ndarray[Any, Any]

STEP = 1 / 8  # of y; the trapezoidal rule errs by about exp(-pi^2 / (2 STEP)), 1e-17
CENTRE = 2.0
TERMS = {torch.float32: 20, torch.float64: 56}  # 18 would err by 3e-7 of the value, and 9e-6 of its slope
ORDERS = 4  # the value and three derivatives

EULER_GAMMA = 0.5772156649015329
AT_ZERO = (EULER_GAMMA + math.log(2)) / 2  # the limit of KL + ln(alpha) / 2 as alpha goes to 0


def exact_kl(ln_alpha: Tensor) -> Tensor:
    """Return the divergence of N(theta, alpha theta^2) from the log-uniform prior, in nats for each element.

    The prior is improper; its constant is chosen so that the divergence goes to 0 as alpha goes to infinity. The result
    is right for every alpha, to 1e-6 of its value in float32 and 1e-13 in float64, and has derivatives up to the third,
    in reverse and forward mode. Half precision is computed and returned in float32.

    >>> exact_kl(torch.tensor([0.1, 1.0, 10.0]).log())
    tensor([1.7241, 0.4267, 0.0492])

    Args:
        ln_alpha: any shape, floating point; the logarithm of the variance of the noise, which is `LearnedRate.logit`.

    Source: Kingma et al. (2015), appendix C, where it is left as an expectation.
    """
    ln_alpha = ln_alpha.to(work_dtype(ln_alpha))
    rest: Tensor = (_Rest.apply if on_kernels(ln_alpha) else _rest)(ln_alpha, 0)
    return rest - F.logsigmoid(ln_alpha) / 2


def exact_kl_reference(ln_alpha: Tensor) -> Tensor:
    """Return the same from the integral itself, in float64; slow."""
    return torch.from_numpy(np.asarray(_integral(ln_alpha.detach().double().cpu().numpy())))


def kingma_kl(ln_alpha: Tensor) -> Tensor:
    """Return the published polynomial in alpha for `exact_kl`, valid for alpha <= 1 only.

    -KL = c + 1/2 ln alpha + 1.161451 alpha - 1.502041 alpha^2 + 0.586299 alpha^3. The paper leaves c open; the value
    here is exact as alpha goes to 0, and elsewhere the result is up to 0.041 nats below the exact divergence.

    Args:
        ln_alpha: any shape, floating point, at most 0. That is checked on a CPU only, because the check would wait for
            another device: there the result falls without bound for alpha > 1, and is meaningless.

    Returns:
        Nats for each element, float32 or float64.

    Raises:
        ValueError: an alpha is above 1.

    Source: Kingma et al. (2015), equation 14.
    """
    ln_alpha = ln_alpha.to(work_dtype(ln_alpha))
    if readable(ln_alpha) and (ln_alpha > 0).any():
        raise ValueError(
            f"kingma_kl holds for alpha <= 1, p <= 0.5, but got alpha = {ln_alpha.max().exp().item():g}; "
            "use exact_kl, or clamp ln alpha at 0 after each step"
        )
    alpha = ln_alpha.exp()
    polynomial = alpha * (1.161451241083230 + alpha * (-1.502041176441722 + alpha * 0.586299206427007))
    return AT_ZERO - ln_alpha / 2 - polynomial


def molchanov_kl(ln_alpha: Tensor) -> Tensor:
    """Return the published sigmoid and logarithm for `exact_kl`, which err by less than 0.0095 nats at any alpha.

    -KL = k1 sigmoid(1.87320 + 1.48695 ln alpha) - 1/2 ln(1 + 1 / alpha) - k1 with k1 = 0.63576. As alpha goes to
    infinity it goes to 0, as the exact divergence does.

    Args:
        ln_alpha: any shape, floating point.

    Returns:
        Nats for each element, float32 or float64.

    Source: Molchanov, Ashukha and Vetrov (2017), equation 14.
    """
    ln_alpha = ln_alpha.to(work_dtype(ln_alpha))
    return 0.63576 * torch.sigmoid(-1.87320 - 1.48695 * ln_alpha) - F.logsigmoid(ln_alpha) / 2


def _integral(ln_alpha: Numbers) -> Numbers:
    u = np.exp(-ln_alpha)[..., None] / 2
    top = 20 + np.log(2 * u.max(initial=1.0)) / 2  # u sech^2 is below 1e-16 from there on
    values = -np.expm1(-u / np.cosh(np.arange(0.0, top, STEP)) ** 2)
    integral: Numbers = STEP * (values.sum(-1) - values[..., 0] / 2)
    return integral


def _quotient(z: Numbers) -> Numbers:
    """Return (KL - ln(1 + 1 / alpha) / 2) / s^2 at z = 1 - 2 s."""
    ln_alpha = 2 * np.arctanh(z) - CENTRE
    u, s = np.exp(-ln_alpha) / 2, (1 - z) / 2
    series, term = np.zeros_like(u), np.ones_like(u)
    for k in range(1, 16):  # both parts as series in u, of which the first terms cancel
        term = term * -u / (k + 0.5)
        series += (term - (-2 * u) ** k) / (k + 1)
    return np.where(u < 0.02, u * series, _integral(ln_alpha) - np.log1p(2 * u) / 2) / s**2


def _derive(series: Numbers) -> Numbers:
    """Return the series of the derivative of s^2 P by ln alpha, over s^2; ds / d ln alpha = -s (1 - s)."""
    inner = chebyshev.chebsub(2 * series, chebyshev.chebmul([1, -1], chebyshev.chebder(series)))
    derived: Numbers = -chebyshev.chebmul([0.5, 0.5], inner)
    return derived


def _tables() -> dict[torch.dtype, list[tuple[float, ...]]]:
    """Return the coefficients of the value and of each derivative, for each dtype."""
    tables = {}
    for dtype, terms in TERMS.items():
        series = [chebyshev.chebinterpolate(_quotient, terms - 1)]  # type: ignore[type-var]  # it calls on arrays
        while len(series) < ORDERS:
            series.append(_derive(series[-1]))
        tables[dtype] = [tuple(coefficients.tolist()) for coefficients in series]
    return tables


SERIES = _tables()


def _sum(z: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Return the Chebyshev series at ``z`` by Clenshaw's recurrence."""
    twice, last, before = 2 * z, torch.full_like(z, coefficients[-1]), torch.zeros_like(z)
    for coefficient in coefficients[-2:0:-1]:
        last, before = torch.addcmul(coefficient - before, twice, last), last
    return torch.addcmul(coefficients[0] - before, z, last)


def _rest(ln_alpha: Tensor, order: int) -> Tensor:
    """Return KL - ln(1 + 1 / alpha) / 2, or its derivative of that order."""
    s = torch.sigmoid(-ln_alpha - CENTRE)
    return _sum(1 - 2 * s, SERIES[ln_alpha.dtype][order]) * s * s


class _Rest(Function):
    """`_rest` that saves one tensor, and evaluates the series of the derivative."""

    @staticmethod
    def forward(ctx: Any, ln_alpha: Tensor, order: int) -> Tensor:
        ctx.save_for_backward(ln_alpha)
        ctx.save_for_forward(ln_alpha)
        ctx.order = order
        return _rest(ln_alpha, order)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Rest.apply(ctx.saved_tensors[0], ctx.order + 1) * gradient, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return _rest(ctx.saved_tensors[0], ctx.order + 1) * tangent
