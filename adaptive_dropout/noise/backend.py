"""Which implementation a call takes: a kernel of `cpu` where there is one for it, else the twin in torch operations.

Kernels for other devices have their place beside those for the CPU, in `run` and `run_sums`.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from adaptive_dropout.noise.philox import BLOCK
from adaptive_dropout.noise.threads import over_threads

__all__ = ["columns", "readable", "run", "run_sums", "run_values", "traced", "work_dtype"]


Pair = tuple[Tensor, Tensor]


def traced() -> bool:
    """Return whether torch records operations now, for `torch.compile` or `torch.jit.trace`; kernels are none."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def readable(x: Tensor) -> bool:
    """Return whether kernels and Python may read ``x`` now: a plain tensor on the CPU, neither traced nor vmapped."""
    return _on_cpu(x) and not traced() and not torch._C._are_functorch_transforms_active()  # as torch's Function asks


def work_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype that the noise of ``x`` is computed in: float64 for float64, else float32."""
    return torch.promote_types(x.dtype, torch.float32)


def run(name: str, x: Tensor, levels: Tensor, key: Tensor, lanes: int) -> Tensor | None:
    """Return what the kernel ``name`` makes of ``x``, in its dtype and strides; None where it cannot run.

    ``levels`` is (settings, ...), where what follows the settings broadcasts over ``x``. ``lanes`` is how many elements
    the kernel takes from a counter.
    """
    if not _on_cpu(x):
        return None
    given = x.detach().to(work_dtype(x)).contiguous()
    out = torch.empty_like(given)
    arguments, blocks = (_flat(given), _flat(out), *_settings(key, levels, given)), _blocks(given, lanes)
    if not KERNELS.call(name, lambda kernel: over_threads(kernel, arguments, blocks)):
        return None
    return out if out.dtype == x.dtype and x.is_contiguous() else torch.empty_like(x).copy_(out)


def run_sums(name: str, factors: Pair, levels: Tensor, key: Tensor, lanes: int) -> Pair | None:
    """Return the two sums that the kernel ``name`` makes of the product of ``factors``; None where it cannot run."""
    if not all(map(_on_cpu, factors)):
        return None
    given = [factor.detach().to(work_dtype(factors[0])).contiguous() for factor in factors]
    blocks = _blocks(given[0], lanes)
    sums = np.empty((2, blocks))
    arguments = (tuple(map(_flat, given)), sums, *_settings(key, levels, given[0]))
    if not KERNELS.call(name, lambda kernel: over_threads(kernel, arguments, blocks)):
        return None
    first, second = torch.from_numpy(sums.sum(1)).to(given[0].dtype)
    return first, second


def run_values(name: str, x: Tensor, key: Tensor, *settings: float) -> Tensor | None:
    """Return the number that the kernel ``name`` writes for each element of a small ``x``; None where it cannot run."""
    # numpy's array and not torch's: for 1000 elements 4 us of 20.
    values = np.empty(x.shape, np.float64 if x.dtype == torch.float64 else np.float32)
    arguments = (values.reshape(-1), np.uint64(key.item()), *settings)
    return torch.from_numpy(values) if KERNELS.call(name, lambda kernel: kernel(*arguments)) else None


def columns(levels: Tensor, shape: torch.Size) -> Tensor:
    """Return ``levels``, (settings, ...), as (settings, n): each of the n for as many neighbours in a ``shape``."""
    if levels.dim() == 1:
        return levels.unsqueeze(1)
    sizes = [1] * (len(shape) - levels.dim() + 1) + list(levels.shape[1:])
    used = max((dim + 1 for dim, size in enumerate(sizes) if size > 1), default=0)
    spread = levels.reshape(len(levels), *sizes[:used]).expand(len(levels), *shape[:used])
    return spread.reshape(len(levels), -1).contiguous()


def _on_cpu(x: Tensor) -> bool:
    # No subclass: what would be a kernel's pointer to its elements is for the subclass to say.
    return x.device.type == "cpu" and type(x) in (Tensor, nn.Parameter)


def _blocks(x: Tensor, lanes: int) -> int:
    return -(-x.numel() // (BLOCK * lanes))


def _flat(x: Tensor) -> Any:
    return x.view(-1).numpy()


def _settings(key: Tensor, levels: Tensor, x: Tensor) -> tuple[Any, Any]:
    return np.uint64(key.item()), columns(levels.detach().to(x.dtype), x.shape).numpy()


class Kernels:
    """The module with the kernels, imported when first used; none after a failure, which warns once."""

    def __init__(self) -> None:
        self.module: ModuleType | None = None
        self.failed = False

    def call(self, name: str, use: Callable[[Callable[..., None]], None]) -> bool:
        """Let ``use`` call the kernel ``name``, and return whether it could.

        numba may be missing, find no folder for what it compiles, or fail to compile.
        """
        if self.failed:
            return False
        try:
            self.module = self.module or importlib.import_module("adaptive_dropout.noise.cpu")
            use(getattr(self.module, name))
        except Exception as error:
            self.failed = True
            warnings.warn(
                f"the noise is the same but slow, in torch operations, because numba failed: {error!r}",
                RuntimeWarning,
                stacklevel=2,
            )
        return not self.failed


KERNELS = Kernels()
