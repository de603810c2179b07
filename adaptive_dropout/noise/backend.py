"""Which implementation a call takes: a kernel of `cpu` or `cuda` where there is one, else the reference.

Kernels read the memory of plain tensors. What torch traces, transforms or batches takes the reference, and so do
subclasses of Tensor and tensors on other devices.
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
from adaptive_dropout.noise.threads import run_in_threads

__all__ = [
    "Key",
    "Settings",
    "as_columns",
    "as_tensors",
    "kernels_for",
    "on_kernels",
    "readable",
    "run",
    "run_backward",
    "run_values",
    "traced",
    "work_dtype",
]

Settings = Tensor | np.ndarray[Any, Any]
"""The numbers that define a noise, such as threshold and scale; (settings, ...). As numpy's (settings, 1) where Python
has them at hand."""

Key = Tensor | int
"""A key; a number where Python has it at hand."""

RAISED = (TypeError, AttributeError, NameError, LookupError, AssertionError, torch.OutOfMemoryError)
"""Errors that do not come from a missing or failing compiler: mistakes in the code here, or a device out of memory."""


def private_flag(name: str) -> Callable[[], bool]:
    """Return torch's private function ``name``, which tells whether a mode is on.

    If this version of torch lacks it, return a function that says yes: noise is then right, but drawn in torch
    operations. Torch has no public function for one of the modes, and a slower one for the other.
    """
    flag: Callable[[], bool] | None = getattr(torch._C, name, None)
    if flag is not None:
        return flag
    warnings.warn(
        f"noise is drawn in torch operations, which is slower, because torch {torch.__version__} has no "
        f"torch._C.{name}; use a version of adaptive_dropout that knows this torch",
        RuntimeWarning,
        stacklevel=2,
    )
    return lambda: True


transforming = private_flag("_are_functorch_transforms_active")  # as torch's own Function asks
tracing = private_flag("_is_tracing")  # torch.jit.is_tracing takes 0.3 us longer a call


def traced() -> bool:
    """Return whether torch records operations, for `torch.compile` or `torch.jit.trace`; it cannot record kernels."""
    return torch.compiler.is_compiling() or tracing()


def on_kernels(x: Tensor) -> bool:
    """Return whether kernels may read ``x``: a plain tensor with memory, neither traced nor transformed."""
    # Not a subclass: only the subclass knows what its elements are.
    return not traced() and not transforming() and type(x) in (Tensor, nn.Parameter) and not x.is_meta


def readable(x: Tensor) -> bool:
    """Return whether Python may read numbers of ``x`` without waiting for a device."""
    return x.is_cpu and on_kernels(x)


def kernels_for(x: Tensor) -> Kernels | None:
    """Return the kernels for the device of ``x``; None if there are none, or one of them has failed."""
    kernels = KERNELS["cpu"] if x.is_cpu else KERNELS["cuda"] if x.is_cuda else None
    return None if kernels is None or kernels.failed else kernels


def work_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype in which the noise of ``x`` is computed: float64 for float64, else float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def as_tensors(x: Tensor, settings: Settings, key: Key) -> tuple[Tensor, Tensor]:
    """Return ``settings`` and ``key`` as tensors with the dtype and device that the noise of ``x`` needs."""
    if isinstance(settings, np.ndarray):
        settings = torch.from_numpy(settings[:, 0]).to(x.device)
    if isinstance(key, int):
        key = torch.tensor(key, device=x.device)
    return settings.to(work_dtype(x)), key


def run(
    name: str,
    x: Tensor,
    settings: Settings,
    key: Key,
    numbers: tuple[float, ...] = (),
    others: tuple[Tensor, ...] = (),
    inplace: bool = False,
) -> Tensor | None:
    """Run the kernel ``name`` on ``x`` and ``others``; return its result, or None if it cannot run.

    The result has the dtype and strides of ``x``. The dimensions of ``settings`` after the first broadcast over ``x``;
    ``numbers`` are settings that do not. ``inplace`` writes into ``x``.
    """
    kernels = kernels_for(x)
    if kernels is None:
        return None
    given = x.contiguous()
    out = given if inplace else torch.empty_like(given)
    read = [other.contiguous() for other in others]
    if not _launch(kernels, name, [given, *read, out], [], (settings, key, numbers)):
        return None
    if inplace:
        return x if given is x else x.copy_(out)
    return out if given is x else torch.empty_like(x).copy_(out)


def run_backward(
    name: str, factors: tuple[Tensor, Tensor], settings: Settings, key: Key, numbers: tuple[float, ...]
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Run the kernel ``name`` on ``factors``, x and the gradient of y; None if it cannot run.

    Returns:
        The gradient of x, and two sums over all elements.
    """
    x, gradient = (factor.contiguous() for factor in factors)
    kernels = kernels_for(x)
    if kernels is None or gradient.device != x.device:
        return None
    out = torch.empty_like(gradient)
    sums = torch.empty((2, _count_chunks(x)), dtype=work_dtype(x), device=x.device)
    if not _launch(kernels, name, [x, gradient, out], [sums], (settings, key, numbers)):
        return None
    first, second = sums.sum(1, dtype=torch.float64).to(work_dtype(x)).unbind()
    return out, first, second


def run_values(name: str, x: Tensor, key: int, dropped: int, scale: float) -> Tensor | None:
    """Return the number that the kernel ``name`` writes for each element of a small ``x``; None if it cannot run."""
    # numpy's array and not torch's: a microsecond less, of fifteen.
    values = np.empty(x.shape, np.float64 if x.dtype == torch.float64 else np.float32)
    flat = values.reshape(-1)
    called = KERNELS["cpu"].call(name, lambda kernel: kernel(flat, key, dropped, scale))
    return torch.from_numpy(values) if called else None


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


def _launch(
    kernels: Kernels,
    name: str,
    arrays: list[Tensor],
    sums: list[Tensor],
    noise: tuple[Settings, Key, tuple[float, ...]],
) -> bool:
    """Let the kernel ``name`` read all but the last of ``arrays`` and write the last and ``sums``.

    Returns:
        Whether it could.
    """
    x, out = arrays[0], arrays[-1]
    settings, key, numbers = noise
    chunks = _count_chunks(x)
    if x.is_cuda:
        settings, key = as_tensors(x, settings, key)
        table = as_columns(settings.detach(), x.shape)
        return kernels.call(name, lambda kernel: kernel(*arrays, *sums, key, table, chunks, *numbers))
    if isinstance(settings, Tensor):
        settings = as_columns(settings.detach().to(work_dtype(x)), x.shape).numpy()
    if x.element_size() < 4:
        arrays = [array.float() for array in arrays]
    addresses = [array.data_ptr() for array in arrays]
    arguments = (*addresses, *[part.numpy() for part in sums], x.numel(), int(key), settings, *numbers)
    called = kernels.call(name, lambda kernel: run_in_threads(kernel, arguments, chunks))
    if called and arrays[-1] is not out:
        out.copy_(arrays[-1])
    return called


def _count_chunks(x: Tensor) -> int:
    return -(-x.numel() // (CHUNK * LANES))


class Kernels:
    """A module with kernels, imported when first used; after a failure, which warns once, they are not used again.

    A failure is one of the machine: the compiler is missing, finds no folder for its output, or does not know the
    device. Errors in `RAISED` are not of that kind, and are raised.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.loaded: ModuleType | None = None
        self.failed = False

    def call(self, name: str, use: Callable[[Callable[..., Any]], None]) -> bool:
        """Let ``use`` call the kernel ``name``, and return whether it could."""
        if self.failed or not self._load():
            return False
        kernel = getattr(self.loaded, name)
        try:
            use(kernel)
        except RAISED:
            raise
        except Exception as error:
            self._give_up(error)
        return not self.failed

    def _load(self) -> bool:
        if self.loaded is None:
            try:
                self.loaded = importlib.import_module(f"adaptive_dropout.noise.{self.module}")
            except Exception as error:  # whatever an installation that does not fit together raises
                self._give_up(error)
        return self.loaded is not None

    def _give_up(self, error: Exception) -> None:
        self.failed = True
        warnings.warn(
            f"noise on {self.module} is drawn in torch operations, which is slower, because its kernels failed: "
            f"{error!r}",
            RuntimeWarning,
            stacklevel=3,
        )


KERNELS = {device: Kernels(device) for device in ("cpu", "cuda")}
