"""Which implementation a call takes: a kernel of `cpu` or `cuda` where there is one, else the twin in torch operations.

Kernels read the memory of plain tensors. What torch traces, transforms or batches takes the twin, and so do other
devices and subclasses of Tensor.
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

from adaptive_dropout.noise.philox import CHUNK, LANES
from adaptive_dropout.noise.threads import over_threads

__all__ = [
    "Key",
    "Levels",
    "as_tensors",
    "columns",
    "kernels_for",
    "on_kernels",
    "readable",
    "run",
    "run_backward",
    "run_values",
    "traced",
    "work_dtype",
]

Levels = Tensor | np.ndarray[Any, Any]
"""Settings of a noise, (settings, ...); numpy's, (settings, 1), where they are numbers that Python has at hand."""

Key = Tensor | int
"""A key; a number where Python has it at hand."""

transforming = torch._C._are_functorch_transforms_active  # as torch's own Function asks


def traced() -> bool:
    """Return whether torch records operations now, for `torch.compile` or `torch.jit.trace`; kernels are none."""
    return torch.compiler.is_compiling() or torch._C._is_tracing()


def on_kernels(x: Tensor) -> bool:
    """Return whether kernels may read ``x`` now: a plain tensor with memory, neither traced nor transformed."""
    # No subclass: what would be a kernel's pointer to its elements is for the subclass to say.
    return not traced() and not transforming() and type(x) in (Tensor, nn.Parameter) and not x.is_meta


def readable(x: Tensor) -> bool:
    """Return whether Python may read numbers of ``x`` without waiting for a device."""
    return x.is_cpu and on_kernels(x)


def kernels_for(x: Tensor) -> Kernels | None:
    """Return the kernels for the device of ``x``; None where there are none, or one has failed."""
    kernels = KERNELS["cpu"] if x.is_cpu else KERNELS["cuda"] if x.is_cuda else None
    return None if kernels is None or kernels.failed else kernels


def work_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype that the noise of ``x`` is computed in: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def as_tensors(x: Tensor, levels: Levels, key: Key) -> tuple[Tensor, Tensor]:
    """Return ``levels`` and ``key`` as tensors in the dtype and on the device that the noise of ``x`` needs."""
    if isinstance(levels, np.ndarray):
        levels = torch.from_numpy(levels[:, 0]).to(x.device)
    if isinstance(key, int):
        key = torch.tensor(key, device=x.device)
    return levels.to(work_dtype(x)), key


def run(
    name: str,
    x: Tensor,
    levels: Levels,
    key: Key,
    numbers: tuple[float, ...] = (),
    others: tuple[Tensor, ...] = (),
    inplace: bool = False,
) -> Tensor | None:
    """Return what the kernel ``name`` makes of ``x`` and ``others``, in the dtype and strides of x; None if it cannot.

    What follows the settings of ``levels`` broadcasts over ``x``; ``numbers`` are settings that do not. ``inplace``
    writes into ``x``.
    """
    kernels = kernels_for(x)
    if kernels is None:
        return None
    given = x.contiguous()
    out = given if inplace else torch.empty_like(given)
    read = [other.contiguous() for other in others]
    if not _launch(kernels, name, [given, *read, out], [], (levels, key, numbers)):
        return None
    if inplace:
        return x if given is x else x.copy_(out)
    return out if given is x else torch.empty_like(x).copy_(out)


def run_backward(
    name: str, factors: tuple[Tensor, Tensor], levels: Levels, key: Key, numbers: tuple[float, ...]
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return the gradient of x and the two sums that the kernel ``name`` makes of x and the gradient of y; or None."""
    x, gradient = (factor.contiguous() for factor in factors)
    kernels = kernels_for(x)
    if kernels is None or gradient.device != x.device:
        return None
    out = torch.empty_like(gradient)
    sums = torch.empty((2, _chunks(x)), dtype=work_dtype(x), device=x.device)
    if not _launch(kernels, name, [x, gradient, out], [sums], (levels, key, numbers)):
        return None
    first, second = sums.sum(1, dtype=torch.float64).to(work_dtype(x)).unbind()
    return out, first, second


def run_values(name: str, x: Tensor, key: int, dropped: int, scale: float) -> Tensor | None:
    """Return the number that the kernel ``name`` writes for each element of a small ``x``; None where it cannot run."""
    # numpy's array and not torch's: a microsecond less, of fifteen.
    values = np.empty(x.shape, np.float64 if x.dtype == torch.float64 else np.float32)
    flat = values.reshape(-1)
    called = KERNELS["cpu"].call(name, lambda kernel: kernel(flat, key, dropped, scale))
    return torch.from_numpy(values) if called else None


def columns(levels: Tensor, shape: torch.Size) -> Tensor:
    """Return ``levels``, (settings, ...), as (settings, n): each of the n for as many neighbours in a ``shape``."""
    if levels.dim() == 1:
        return levels.unsqueeze(1)
    sizes = [1] * (len(shape) - levels.dim() + 1) + list(levels.shape[1:])
    used = max((dim + 1 for dim, size in enumerate(sizes) if size > 1), default=0)
    spread = levels.reshape(len(levels), *sizes[:used]).expand(len(levels), *shape[:used])
    return spread.reshape(len(levels), -1).contiguous()


def _launch(
    kernels: Kernels,
    name: str,
    arrays: list[Tensor],
    sums: list[Tensor],
    settings: tuple[Levels, Key, tuple[float, ...]],
) -> bool:
    """Let the kernel ``name`` read the first ``arrays``, write the last and the ``sums``; return whether it could."""
    x, out = arrays[0], arrays[-1]
    levels, key, numbers = settings
    chunks = _chunks(x)
    if x.is_cuda:
        levels, key = as_tensors(x, levels, key)
        table = columns(levels.detach(), x.shape)
        return kernels.call(name, lambda kernel: kernel(*arrays, *sums, key, table, chunks, *numbers))
    if isinstance(levels, Tensor):
        levels = columns(levels.detach().to(work_dtype(x)), x.shape).numpy()
    if x.element_size() < 4:
        arrays = [array.float() for array in arrays]
    addresses = [array.data_ptr() for array in arrays]
    arguments = (*addresses, *[part.numpy() for part in sums], x.numel(), int(key), levels, *numbers)
    called = kernels.call(name, lambda kernel: over_threads(kernel, arguments, chunks))
    if called and arrays[-1] is not out:
        out.copy_(arrays[-1])
    return called


def _chunks(x: Tensor) -> int:
    return -(-x.numel() // (CHUNK * LANES))


class Kernels:
    """A module with kernels, imported when first used; none after a failure, which warns once."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.loaded: ModuleType | None = None
        self.failed = False

    def call(self, name: str, use: Callable[[Callable[..., Any]], None]) -> bool:
        """Let ``use`` call the kernel ``name``, and return whether it could.

        The compiler may be missing, find no folder for what it compiles, or fail to compile.
        """
        if self.failed:
            return False
        try:
            self.loaded = self.loaded or importlib.import_module(f"adaptive_dropout.noise.{self.module}")
            use(getattr(self.loaded, name))
        except Exception as error:
            self.failed = True
            warnings.warn(
                f"noise on {self.module} is drawn in torch operations, which is slower, because its kernels failed: "
                f"{error!r}",
                RuntimeWarning,
                stacklevel=2,
            )
        return not self.failed


KERNELS = {device: Kernels(device) for device in ("cpu", "cuda")}
