"""The numbers that define a noise, as each kernel takes them, and the laws by which they follow from p.

The settings of a mask are the threshold below which an element is lost, the scale of the kept elements and, if there
are four, the shifts of the kept and of the lost. Those of Gaussian noise are offset and standard deviation, those of a
concrete gate odds and scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from torch import Tensor

from adaptive_dropout.noise.philox import LEVELS

__all__ = [
    "ALPHA",
    "ALPHA_PRIME",
    "ALPHA_PRIME_SQUARED",
    "BERNOULLI",
    "GAUSSIAN",
    "GIVEN",
    "Key",
    "Law",
    "OfP",
    "Settings",
    "as_columns",
    "as_drawn",
    "as_key",
    "as_tensors",
    "bernoulli_numbers",
    "read_by_kernel",
    "rounded_sqrt",
    "threshold",
    "without_shifts",
    "work_dtype",
]

ALPHA_PRIME = -1.7580993408473766  # where SELU saturates: -lambda alpha (Klambauer et al., 2017)
ALPHA_PRIME_SQUARED = ALPHA_PRIME**2  # a number by itself: torch 2.11 cannot compile its square for dynamic shapes

GIVEN = 0
"""The number by which kernels know settings that follow no law: they come in a table."""


class Law(NamedTuple):
    """How the settings of a noise follow from p.

    Args:
        number: by which the kernels of a device know it.
        table: p, in the dtype of the noise -> settings, (settings, ...), in torch operations.
        numbers: the same for a number and a numpy type, (settings, 1), with the same bits; if there is a faster way.
    """

    number: int
    table: Callable[[Tensor], Tensor]
    numbers: Callable[[float, type], np.ndarray[Any, Any]] | None = None


class OfP(NamedTuple):
    """Settings that a kernel makes of p itself, in the memory of its device, which Python need not read.

    Args:
        p: float32, 0-dim or broadcasting over x; without gradient.
        law: how.
        shifted: whether the law's shifts are added, if it has any.
        number: what p holds now; None if Python does not know, and nobody writes to p.
        version: how often p had been written to when ``number`` was read.
    """

    p: Tensor
    law: Law
    shifted: bool = True
    number: float | None = None
    version: int = 0


Settings = Tensor | np.ndarray[Any, Any] | OfP
"""A table, (settings, ...); numpy's (settings, 1) where Python has the numbers at hand; or what they follow from."""

Key = Tensor | int
"""A key; a number where Python has it at hand."""


def work_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype in which the noise of ``x`` is computed: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def as_tensors(x: Tensor, settings: Settings, key: Key) -> tuple[Tensor, Tensor]:
    """Return ``settings`` and ``key`` as tensors with the dtype and device that the noise of ``x`` needs.

    Nothing waits for a device: numbers are written there, not copied.
    """
    work = work_dtype(x)
    if isinstance(settings, OfP):
        table = settings.law.table(settings.p.to(work))
        settings = table if settings.shifted else table[:2]
    elif isinstance(settings, np.ndarray) and x.is_cpu:
        settings = torch.from_numpy(settings[:, 0])
    elif isinstance(settings, np.ndarray):
        numbers = settings[:, 0].tolist()
        settings = torch.stack([torch.full((), number, dtype=work, device=x.device) for number in numbers])
    return settings.to(work), as_key(x, key)


def as_key(x: Tensor, key: Key) -> Tensor:
    """Return ``key`` as a 0-dim int64 tensor on the device of ``x``."""
    return torch.full((), key, dtype=torch.int64, device=x.device) if isinstance(key, int) else key


def read_by_kernel(p: Tensor, law: Law) -> OfP:
    """Return the settings that a kernel makes of ``p``, in the backward pass too, although p may move until then."""
    number = getattr(p, "known_p", None)
    if number is None or p.is_inference():  # the tensor of whoever calls, who may write to it
        return OfP(p.detach().clone(), law)
    return OfP(p, law, True, number, p._version)


@overload
def as_drawn(settings: OfP) -> OfP: ...


@overload
def as_drawn(settings: Settings) -> Settings: ...


def as_drawn(settings: Settings) -> Settings:
    """Return the settings with which the forward pass drew, in the backward pass."""
    if not isinstance(settings, OfP) or settings.number is None or settings.p._version == settings.version:
        return settings
    return settings._replace(p=torch.full_like(settings.p, settings.number), number=None)


def without_shifts(settings: Settings) -> Settings:
    """Return the settings of the derivative of a mask: threshold and scale alone."""
    if isinstance(settings, OfP):
        return settings._replace(shifted=False) if settings.shifted else settings
    return settings[:2]


def as_columns(settings: Tensor, shape: torch.Size) -> Tensor:
    """Return ``settings``, (settings, ...), as (settings, n): column i is for the i-th of n equal parts of a ``shape``.

    n is as small as broadcasting allows: 1 where one p is shared by all elements.
    """
    if settings.dim() == 1:
        return settings.unsqueeze(1)
    sizes = [1] * (len(shape) - settings.dim() + 1) + list(settings.shape[1:])
    used = max((dim + 1 for dim, size in enumerate(sizes) if size > 1), default=0)
    spread = settings.reshape(len(settings), *sizes[:used]).expand(len(settings), *shape[:used])
    return spread.reshape(len(settings), -1).contiguous()


def threshold(p: Tensor) -> tuple[Tensor, Tensor]:
    """Return the integer below which an entry is dropped, and 1 - p, never 0, so that a division by it is safe."""
    dropped = (p * LEVELS).round()
    return dropped, (LEVELS - dropped).clamp(min=1) / LEVELS


def rounded_sqrt(x: Tensor) -> Tensor:
    """Return the square root of ``x``; in float32 rounded correctly, as in the kernels."""
    return x.double().sqrt().to(x.dtype)  # MKL's float32 root has another last bit for 15 % of all numbers


def _bernoulli(p: Tensor) -> Tensor:
    dropped, q = threshold(p)
    return torch.stack((dropped, 1 / q))


def bernoulli_numbers(p: float, kind: type) -> np.ndarray[Any, Any]:
    """Return the settings of a Bernoulli mask for a number ``p``, in the numpy type ``kind``; (2, 1)."""
    dropped = round(p * LEVELS)
    return np.array(((dropped,), (LEVELS / max(LEVELS - dropped, 1),)), kind)


def _alpha(p: Tensor) -> Tensor:
    dropped, q = threshold(p)
    used = dropped / LEVELS
    a = 1 / rounded_sqrt(q * (1 + ALPHA_PRIME_SQUARED * used))
    shift = -a * used * ALPHA_PRIME
    return torch.stack((dropped, a, shift, a * ALPHA_PRIME + shift))


def _alpha_numbers(p: float, kind: type) -> np.ndarray[Any, Any]:
    dropped = round(p * LEVELS)
    one, prime = kind(1), kind(ALPHA_PRIME)
    q, used = kind(max(LEVELS - dropped, 1) / LEVELS), kind(dropped / LEVELS)
    a = one / np.sqrt(q * (one + kind(ALPHA_PRIME_SQUARED) * used))
    shift = -a * used * prime
    return np.array(((dropped,), (a,), (shift,), (a * prime + shift,)), kind)


def _gaussian(p: Tensor) -> Tensor:
    below_one = (p < 1).to(p.dtype)
    return torch.stack((below_one, below_one * rounded_sqrt(p / (1 - p).clamp(min=torch.finfo(p.dtype).eps / 2))))


def _gaussian_numbers(p: float, kind: type) -> np.ndarray[Any, Any]:
    held = kind(p)
    if held >= 1:
        return np.zeros((2, 1), kind)
    return np.array(((1,), (np.sqrt(held / (kind(1) - held)),)), kind)


BERNOULLI = Law(1, _bernoulli, bernoulli_numbers)
ALPHA = Law(2, _alpha, _alpha_numbers)
GAUSSIAN = Law(3, _gaussian, _gaussian_numbers)
