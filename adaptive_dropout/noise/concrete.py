"""Concrete noise from p: the odds and the scale of its gate, and the gradient that reaches p through both."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from adaptive_dropout.noise.backend import (
    differentiate,
    in_dual_level,
    on_kernels,
    readable,
    run,
    run_backward,
    run_slope,
)
from adaptive_dropout.noise.gate import gate, limit_of
from adaptive_dropout.noise.settings import Key, Law, OfP, as_drawn, read_by_kernel

__all__ = ["NODES", "concrete", "keep_mean", "odds_and_scale"]

NODES = 40  # on each side of 0
HALVES = np.arange(-NODES, NODES + 1) / 2
WEIGHTS = 1 / (2 + 2 * np.cosh(HALVES))


def concrete(x: Tensor, p: Tensor, temperature: float, key: Key) -> Tensor:
    """Return ``x`` times the gate of a 0-dim ``p``, which is 1 on average.

    Gradients reach ``x`` and ``p``, to any order and in forward mode. Where Python may read ``p``, it makes the
    settings of the gate; on a device the kernels do.
    """
    if x.is_cuda and on_kernels(x) and not in_dual_level():
        y: Tensor = _OnDevice.apply(x, p, temperature, key)
        return y
    return _gated(x, p, temperature, key)


def odds_and_scale(p: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return p / (1 - p) and 1 / E[1 - z], which is 0 at p = 1; without a division by 0, differentiable in ``p``."""
    mean = keep_mean(p, temperature).clamp(min=torch.finfo(p.dtype).tiny)
    return p / (1 - p).clamp(min=torch.finfo(p.dtype).eps / 2), (p < 1).to(p.dtype) / mean


def keep_mean(p: Tensor, temperature: float) -> Tensor:
    """Return E[1 - z], the mean of the concrete mask before rescaling; 0-dim, differentiable in ``p``.

    With c = logit(1 - p), 1 - z = sigmoid((c + L) / T) for a standard logistic L, so its mean is P(L' T - L < c) for a
    second one, L', and that is E[sigmoid(c - T L')]: smooth in L' at any T. The trapezoidal rule with step 1/2 on
    [-20, 20] then errs by less than 1e-7 for T up to 2, because the integrand is analytic within pi of the real line
    and decays exponentially.
    """
    nodes = torch.arange(-NODES, NODES + 1, dtype=p.dtype, device=p.device) / 2
    weights = torch.sigmoid(nodes) * torch.sigmoid(-nodes)
    return (weights * torch.sigmoid(-torch.logit(p) - temperature * nodes)).sum() / weights.sum()


def _gated(x: Tensor, p: Tensor, temperature: float, key: Key) -> Tensor:
    odds, scale = _OddsAndScale.apply(p, temperature) if readable(p) else odds_and_scale(p, temperature)
    return gate(x, odds, scale, 1 / temperature, key)


def _law(temperature: float) -> Law:
    return Law(4, lambda p: torch.stack(odds_and_scale(p, temperature)))


def _numbers_of(temperature: float) -> tuple[float, float]:
    return 1 / temperature, limit_of(1 / temperature)


class _OnDevice(Function):
    """One kernel forwards, and two backwards, of which the second adds up the sums of the first."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: Tensor, temperature: float, key: Key) -> Tensor:
        learned = ctx.needs_input_grad[1]
        ctx.save_for_backward(*((x, p) if learned else ()))
        law = _law(temperature)
        settings = OfP(p.detach(), law) if learned else read_by_kernel(p, law)
        ctx.noise = settings, temperature, key
        y = run("gate", x, settings, key, _numbers_of(temperature))
        return _gated(x, p, temperature, key) if y is None else y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        settings, temperature, key = ctx.noise
        if not ctx.needs_input_grad[1]:
            return concrete(gradient, as_drawn(settings).p, temperature, key), None, None, None
        x, p = ctx.saved_tensors
        if not torch.is_grad_enabled():
            results = run_backward("gate_backward", (x, gradient), settings, key, _numbers_of(temperature))
            if results is not None:
                slope = run_slope("concrete_slope", results[1], p, (temperature,))
                if slope is not None:
                    return results[0], slope, None, None
        found = differentiate(lambda x, p: _gated(x, p, temperature, key), (x, p), ctx.needs_input_grad[:2], gradient)
        return *found, None, None


class _OddsAndScale(Function):
    """`odds_and_scale` of a p that Python may read, in a tenth of the time that its thirty operations take."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        odds, scale, *ctx.slopes = _numbers(p.item(), temperature)
        ctx.temperature = temperature
        ctx.save_for_backward(p)
        return torch.tensor(odds, dtype=p.dtype), torch.tensor(scale, dtype=p.dtype)

    @staticmethod
    def backward(ctx: Any, to_odds: Tensor, to_scale: Tensor) -> tuple[Tensor, None]:
        if not torch.is_grad_enabled():
            return to_odds * ctx.slopes[0] + to_scale * ctx.slopes[1], None
        (p,) = ctx.saved_tensors
        values = odds_and_scale(p, ctx.temperature)
        return torch.autograd.grad(values, p, (to_odds, to_scale), create_graph=True)[0], None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> tuple[Tensor, Tensor]:
        return tangent * ctx.slopes[0], tangent * ctx.slopes[1]


def _numbers(p: float, temperature: float) -> tuple[float, float, float, float]:
    """Return the odds of ``p``, the scale, and the derivatives of both."""
    if p in (0.0, 1.0):
        return (0.0, 1.0, 1.0, 0.0) if p == 0 else (2.0**24, 0.0, 0.0, 0.0)
    q = 1 - p
    keep = 1 / (1 + (p / q) * np.exp(temperature * HALVES))
    mean = float((WEIGHTS * keep).sum() / WEIGHTS.sum())
    slope = -float((WEIGHTS * keep * (1 - keep)).sum() / WEIGHTS.sum()) / (p * q)
    return p / q, 1 / mean, 1 / q**2, -slope / mean**2
