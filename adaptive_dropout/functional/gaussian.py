"""Multiplicative Gaussian noise, as strong as dropout with probability p."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_dropout.probability import check_p

__all__ = ["gaussian_dropout"]


def gaussian_dropout(x: Tensor, p: float | Tensor) -> Tensor:
    """Multiply ``x`` by Gaussian noise as strong as dropout with probability ``p``.

    The noise is N(1, p / (1 - p)), which has the mean and the variance of a Bernoulli mask scaled by ``1 / (1 - p)``.
    ``p`` gets a gradient. p = 0 is the identity; at p = 1 the variance is infinite and the result is zeros, as in
    `dropout`.

    Args:
        x: any shape, floating point.
        p: in [0, 1]; a 0-dim tensor is not checked, because that would wait for its device.

    Raises:
        RuntimeError: ``x`` is not floating point.
        ValueError: ``p`` is outside [0, 1].

    Source: Srivastava et al. (2014), section 10; Kingma et al. (2015) call the variance alpha.
    """
    if not x.is_floating_point():
        raise RuntimeError(f"dropout takes floating-point input, but got {x.dtype}; convert it with x.float()")
    work = torch.promote_types(x.dtype, torch.float32)
    p = p.to(work) if isinstance(p, Tensor) else torch.full((), check_p(p), dtype=work, device=x.device)
    std = (p / (1 - p).clamp(min=torch.finfo(work).tiny)).sqrt()
    noise = 1 + std * torch.randn_like(x, dtype=work)
    return torch.where(p < 1, x * noise, 0.0).to(x.dtype)
