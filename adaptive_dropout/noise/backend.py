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

from adaptive_dropout.noise.philox import BLOCK
from adaptive_dropout.noise.threads import over_threads

__all__ = ["columns", "has_kernels", "on_kernels", "readable", "run", "run_backward", "run_values", "work_dtype"]

transforming = torch._C._are_functorch_transforms_active  # as torch's own Function asks


def traced() -> bool:
    """Return whether torch records operations now, for `torch.compile` or `torch.jit.trace`; kernels are none."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def on_kernels(x: Tensor) -> bool:
    """Return whether kernels may read ``x`` now: a plain tensor with memory, neither traced nor transformed."""
    # No subclass: what would be a kernel's pointer to its elements is for the subclass to say.
    return not traced() and not transforming() and type(x) in (Tensor, nn.Parameter) and not x.is_meta


def readable(x: Tensor) -> bool:
    """Return whether Python may read numbers of ``x`` without waiting for a device."""
    return x.device.type == "cpu" and on_kernels(x)


def has_kernels(x: Tensor) -> bool:
    """Return whether there are kernels for the device of ``x``, and none has failed."""
    return x.device.type in KERNELS and not KERNELS[x.device.type].failed


def work_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype that the noise of ``x`` is computed in: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def run(
    name: str,
    x: Tensor,
    levels: Tensor,
    key: Tensor,
    lanes: int,
    numbers: tuple[float, ...] = (),
    others: tuple[Tensor, ...] = (),
    inplace: bool = False,
) -> Tensor | None:
    """Return what the kernel ``name`` makes of ``x`` and ``others``, in the dtype and strides of x; None if it cannot.

    ``levels`` is (settings, ...), where what follows the settings broadcasts over ``x``; ``numbers`` are settings that
    do not. ``lanes`` is how many elements the kernel takes from a counter. ``inplace`` writes into ``x``.
    """
    if not has_kernels(x):
        return None
    given, *read = (tensor.detach().contiguous() for tensor in (x, *others))
    out = given if inplace else torch.empty_like(given)
    if not _launch(name, (given, *read, out), (), (levels, key, lanes, numbers)):
        return None
    if inplace:
        return x if given.data_ptr() == x.data_ptr() else x.copy_(out)
    return out if x.is_contiguous() else torch.empty_like(x).copy_(out)


def run_backward(
    name: str, factors: tuple[Tensor, Tensor], levels: Tensor, key: Tensor, lanes: int, numbers: tuple[float, ...]
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return the gradient of x and the two sums that the kernel ``name`` makes of x and the gradient of y; or None."""
    x, gradient = (factor.detach().contiguous() for factor in factors)
    if not has_kernels(x) or gradient.device != x.device:
        return None
    out = torch.empty_like(gradient)
    sums = torch.empty((2, _blocks(x, lanes)), dtype=work_dtype(x), device=x.device)
    if not _launch(name, (x, gradient, out), (sums,), (levels, key, lanes, numbers)):
        return None
    first, second = sums.sum(1, dtype=torch.float64).to(work_dtype(x)).unbind()
    return out, first, second


def run_values(name: str, x: Tensor, key: Tensor, dropped: int, scale: float) -> Tensor | None:
    """Return the number that the kernel ``name`` writes for each element of a small ``x``; None where it cannot run."""
    values = torch.empty(x.shape, dtype=work_dtype(x))
    number = np.float64(scale) if x.dtype == torch.float64 else np.float32(scale)
    arguments = (values.data_ptr(), x.numel(), key.item(), dropped, number)
    return values if KERNELS["cpu"].call(name, lambda kernel: kernel(*arguments)) else None


def columns(levels: Tensor, shape: torch.Size) -> Tensor:
    """Return ``levels``, (settings, ...), as (settings, n): each of the n for as many neighbours in a ``shape``."""
    if levels.dim() == 1:
        return levels.unsqueeze(1)
    sizes = [1] * (len(shape) - levels.dim() + 1) + list(levels.shape[1:])
    used = max((dim + 1 for dim, size in enumerate(sizes) if size > 1), default=0)
    spread = levels.reshape(len(levels), *sizes[:used]).expand(len(levels), *shape[:used])
    return spread.reshape(len(levels), -1).contiguous()


def _launch(
    name: str,
    arrays: tuple[Tensor, ...],
    sums: tuple[Tensor, ...],
    settings: tuple[Tensor, Tensor, int, tuple[float, ...]],
) -> bool:
    """Let the kernel ``name`` read the first ``arrays``, write the last and the ``sums``; return whether it could."""
    x, work = arrays[0], work_dtype(arrays[0])
    levels, key, lanes, numbers = settings
    table, blocks = columns(levels.detach().to(work), x.shape), _blocks(x, lanes)
    if x.is_cuda:
        return KERNELS["cuda"].call(name, lambda kernel: kernel(*arrays, *sums, key, table, blocks, *numbers))
    held = [array.to(work) for array in arrays]
    addresses = [array.data_ptr() for array in held]
    rest = (*(part.numpy() for part in sums), x.numel(), key.item(), table.numpy(), *numbers)
    called = KERNELS["cpu"].call(name, lambda kernel: over_threads(kernel, (*addresses, *rest), blocks))
    if called and held[-1] is not arrays[-1]:
        arrays[-1].copy_(held[-1])
    return called


def _blocks(x: Tensor, lanes: int) -> int:
    return -(-x.numel() // (BLOCK * lanes))


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
