"""What every noise checks before it draws: the dtype of x, and that p is a probability for each of its elements."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from adaptive_dropout.checks import check_p
from adaptive_dropout.noise.backend import on_kernels, readable, traced, work_dtype

__all__ = ["as_number", "as_p", "check_input", "known_zero"]


def check_input(x: Tensor) -> None:
    """Raise a RuntimeError, as torch does, unless ``x`` is floating point."""
    if not x.is_floating_point():
        raise RuntimeError(f"dropout takes floating-point input, but got {x.dtype}; convert it with x.float()")


def as_number(p: float | Tensor) -> float | None:
    """Return ``p`` as a checked number where that waits for nothing and loses no gradient, else None."""
    if not isinstance(p, Tensor):
        return check_p(p)
    return check_p(p.item()) if p.dim() == 0 and not p.requires_grad and readable(p) else None


def known_zero(p: float | Tensor) -> bool:
    """Return whether ``p`` is 0, told without waiting for a device: noise is the identity then, and draws no key.

    As of torch's layers, the generator stays where it is. Not while something is recorded, in which p may move later.
    """
    if not isinstance(p, Tensor):
        return not traced() and check_p(p) == 0.0
    if p.is_cpu:
        # Inside of dual_level p may have a derivative that requires_grad does not tell of.
        return as_number(p) == 0.0 and forward_ad._current_level < 0
    # On another device a tensor is what its rate knows of it.
    known = getattr(p, "known_p", None) if on_kernels(p) else None
    return known == 0.0 and not p.requires_grad and not (p.is_cuda and torch.cuda.is_current_stream_capturing())


def as_p(p: float | Tensor, x: Tensor) -> Tensor:
    """Return ``p`` as a tensor in the dtype and on the device that the noise of ``x`` is computed in and on.

    A tensor is checked where that waits for no device: on a CPU, and while nothing is compiled or vmapped.

    Raises:
        TypeError: ``p`` is neither a number nor a tensor.
        ValueError: ``p`` is NaN or outside [0, 1], on another device than ``x``, or does not broadcast to its shape.
    """
    work = work_dtype(x)
    if not isinstance(p, Tensor):
        return torch.full((), check_p(p), dtype=work, device=x.device)
    sizes = zip(reversed(p.shape), reversed(x.shape), strict=False)
    if p.dim() and (p.device != x.device or p.dim() > x.dim() or any(own not in (1, size) for own, size in sizes)):
        raise ValueError(
            f"p has to be 0-dim or broadcast to x, of shape {tuple(x.shape)} on {x.device}, but got shape "
            f"{tuple(p.shape)} on {p.device}"
        )
    if p.dim() == 0 and readable(p):
        check_p(p.item())
    elif readable(p) and not ((p >= 0) & (p <= 1)).all():  # NaN fails both comparisons
        wrong = p.detach()[~((p >= 0) & (p <= 1))].flatten()[0].item()
        raise ValueError(f"p has to be between 0 and 1, but got a tensor with {wrong}")
    return p.to(work)
