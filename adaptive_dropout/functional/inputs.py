"""The inputs of a noise: which x it takes, which p, and the shape of a mask that has one value for each channel."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from adaptive_dropout.checks import check_p
from adaptive_dropout.noise.backend import PLAIN, in_dual_level, on_kernels, readable, traced
from adaptive_dropout.noise.settings import Key, work_dtype

__all__ = [
    "another",
    "as_given",
    "as_number",
    "as_p",
    "channel_shape",
    "check_input",
    "is_known_zero",
    "known_number",
]


def check_input(x: Tensor) -> None:
    """Raise a RuntimeError, as torch does, unless ``x`` is floating point, and a TypeError where processes share it."""
    if not is_dynamo_compiling() and type(x) not in PLAIN and type(x).__name__ == "DTensor":
        raise TypeError(
            "x is a DTensor, and noise is drawn for the tensors of one process; give it x.to_local(), and make a "
            "DTensor of the result by DTensor.from_local"
        )
    if not x.is_floating_point():
        raise RuntimeError(f"dropout takes floating-point input, but got {x.dtype}; convert it with x.float()")


def as_number(p: float | Tensor) -> float | None:
    """Return ``p`` as a checked number; None where that would wait for a device or lose a gradient."""
    if not isinstance(p, Tensor):
        return check_p(p)
    return check_p(p.item()) if p.is_cpu and p.dim() == 0 and not p.requires_grad and readable(p) else None


def known_number(p: float | Tensor) -> float | None:
    """Return ``p`` as a number where that does not wait for a device: what a rate has left on its tensor counts too.

    None while operations are recorded, because p may move before they are replayed.
    """
    if not isinstance(p, Tensor):
        return None if traced() else check_p(p)
    if p.dim() or p.requires_grad or not on_kernels(p):
        return None
    if p.is_cpu:
        return check_p(p.item())
    return None if p.is_cuda and torch.cuda.is_current_stream_capturing() else getattr(p, "known_p", None)


def is_known_zero(p: float | Tensor, number: float | None) -> bool:
    """Return whether ``p`` is known to be 0 without waiting for a device; ``number`` is `as_number` of it.

    Noise is then the identity and draws no key: the generator stays where it is, as with torch's layers. False while
    operations are recorded, because p may move before they are replayed.
    """
    if not isinstance(p, Tensor):
        return number == 0.0 and not traced()
    if p.is_cpu:
        # In forward mode p may have a derivative although requires_grad is False.
        return number == 0.0 and not in_dual_level()
    # On another device only what the rate has left on its tensor is known. Compiled code, which takes no kernels, must
    # not read it: it would be compiled anew for each p.
    if not on_kernels(p) or getattr(p, "known_p", None) != 0.0 or p.requires_grad:
        return False
    return not (p.is_cuda and torch.cuda.is_current_stream_capturing())


def as_p(p: float | Tensor, x: Tensor) -> Tensor:
    """Return ``p`` as a tensor with the dtype and on the device in which the noise of ``x`` is computed.

    The values of a tensor are checked where that does not wait for a device: on a CPU, unless it is compiled or
    vmapped.

    Raises:
        TypeError: ``p`` is neither a number nor a tensor.
        ValueError: ``p`` is NaN or outside [0, 1], on another device than ``x``, or does not broadcast to its shape.
    """
    work = work_dtype(x)
    if not isinstance(p, Tensor):
        return torch.full((), check_p(p), dtype=work, device=x.device)
    if p.dim() == 0 and not p.is_cpu:
        return p.to(work)
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


def as_given(key: Key | None, x: Tensor) -> Key | None:
    """Return the ``key`` that a user gives for noise on ``x``, as a number where Python may read it.

    Raises:
        TypeError: ``key`` is neither a whole number nor a tensor.
        ValueError: ``key`` has more than 64 bits; or is a tensor that is not 0-dim, int64, and on the device of ``x``.
    """
    if key is None:
        return None
    if isinstance(key, Tensor):
        here = key.device == x.device or readable(key)
        if key.dtype != torch.int64 or key.dim() or not here:
            raise ValueError(
                f"key has to be a whole number, or a 0-dim int64 tensor on {x.device}, but got {key.dtype} of shape "
                f"{tuple(key.shape)} on {key.device}"
            )
        return int(key.item()) if readable(key) and on_kernels(x) else key
    if isinstance(key, bool) or not isinstance(key, int):
        raise TypeError(f"key has to be a whole number, or a 0-dim int64 tensor, but got {key!r}")
    if not -(2**63) <= key < 2**63:
        raise ValueError(f"key has to fit into 64 bits, that is in [-2^63, 2^63), but got {key}")
    return key


def another(key: Key | None) -> Key | None:
    """Return a key for the second draw of a function that gets one ``key`` from its user."""
    # Not the next number: that is the key of the user's next call. Below 2^63, so that the sign stays.
    return None if key is None else key ^ 0x2545F4914F6CDD1D


def channel_shape(x: Tensor, spatial_dims: int) -> tuple[int, ...]:
    """Return the shape of a mask with one value for each channel of ``x``, broadcast over the spatial dimensions.

    ``x`` is (batch, channels, *spatial), or (channels, *spatial) without a batch. The inputs that
    `torch.nn.Dropout1d`, ``2d`` and ``3d`` accept are accepted here and read in the same way: with two spatial
    dimensions a 3-dim input is (batch, channels, length), and warns as in torch.

    Raises:
        RuntimeError: one spatial dimension and ``x`` is neither 2-dim nor 3-dim; or ``x`` has no channels.
    """
    dims, full = x.dim(), spatial_dims + 2
    wanted = f"{full - 1}-dim or {full}-dim"
    without_batch = spatial_dims != 2 and dims != full
    kept = 1 if without_batch else 2
    if dims < kept or (spatial_dims == 1 and dims not in (2, 3)):
        raise RuntimeError(f"dropout{spatial_dims}d takes {wanted} input, but got shape {tuple(x.shape)}")
    if dims not in (full - 1, full):
        warnings.warn(
            f"dropout{spatial_dims}d takes {wanted} input, but got shape {tuple(x.shape)}; use Dropout instead",
            UserWarning,
            stacklevel=4,
        )
    elif spatial_dims == 2 and dims == 3:
        warnings.warn(
            f"dropout2d reads the 3-dim input of shape {tuple(x.shape)} as (batch, channels, length); "
            "use Dropout1d for that, or add a batch dimension",
            UserWarning,
            stacklevel=4,
        )
    return tuple(x.shape[:kept]) + (1,) * (dims - kept)
