"""Which implementation a call takes: a kernel of `cpu` or `cuda` where there is one, else the reference.

Kernels read the memory of plain tensors. What torch traces, transforms or batches takes the reference, and so do
subclasses of Tensor and tensors on other devices.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.compiler import is_dynamo_compiling

from adaptive_dropout.noise.loading import KERNELS, Kernels
from adaptive_dropout.noise.philox import CHUNK, LANES
from adaptive_dropout.noise.settings import Key, OfP, Settings, as_columns, as_tensors, work_dtype

__all__ = [
    "differentiate",
    "differentiating",
    "in_dual_level",
    "kernels_for",
    "on_kernels",
    "readable",
    "run",
    "run_backward",
    "run_slope",
    "run_values",
    "traced",
]

PLAIN: set[type] = {Tensor, nn.Parameter}
"""The types of tensors whose memory is theirs: of a subclass, only the subclass knows what its elements are."""


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
    # The first question is one that a compiler answers, the others it could not record. What `torch.export` records are
    # tensors of other types.
    if is_dynamo_compiling() or type(x) not in PLAIN:
        return False
    return not transforming() and not tracing() and not x.is_meta


def readable(x: Tensor) -> bool:
    """Return whether Python may read numbers of ``x`` without waiting for a device."""
    return x.is_cpu and on_kernels(x)


def differentiating(x: Tensor) -> bool:
    """Return whether torch differentiates what is computed from ``x`` now, backwards or forwards."""
    return (x.requires_grad and torch.is_grad_enabled()) or in_dual_level()


def in_dual_level() -> bool:
    """Return whether torch differentiates forwards: tensors may have derivatives although none requires a gradient."""
    # torch has no public name for it. Without this one it counts as forwards: right, but slower.
    return getattr(forward_ad, "_current_level", 0) >= 0


def kernels_for(x: Tensor) -> Kernels | None:
    """Return the kernels for the device of ``x``; None if there are none, or one of them has failed."""
    kernels = KERNELS["cpu"] if x.is_cpu else KERNELS["cuda"] if x.is_cuda else None
    return None if kernels is None or kernels.failed else kernels


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
    arrays = [given, *[other.contiguous() for other in others], out] if others else [given, out]
    launch = _launch_on_device if x.is_cuda else _launch_on_cpu
    if not launch(kernels, name, arrays, [], (settings, key, numbers)):
        return None
    if inplace:
        return x if given is x else x.copy_(out)
    return out if given is x else torch.empty_like(x).copy_(out)


def run_backward(
    name: str, factors: tuple[Tensor, Tensor], settings: Settings, key: Key, numbers: tuple[float, ...]
) -> tuple[Tensor, Tensor] | None:
    """Run the kernel ``name`` on ``factors``, x and the gradient of y; None if it cannot run.

    Returns:
        The gradient of x, and two sums over each chunk, (2, chunks).
    """
    x, gradient = (factor.contiguous() for factor in factors)
    kernels = kernels_for(x)
    if kernels is None or gradient.device != x.device:
        return None
    out = torch.empty_like(gradient)
    sums = torch.empty((2, _count_chunks(x)), dtype=work_dtype(x), device=x.device)
    launch = _launch_on_device if x.is_cuda else _launch_on_cpu
    return (out, sums) if launch(kernels, name, [x, gradient, out], [sums], (settings, key, numbers)) else None


def run_slope(name: str, sums: Tensor, p: Tensor, numbers: tuple[float, ...]) -> Tensor | None:
    """Return the gradient of a 0-dim ``p`` on a device from the ``sums`` of `run_backward`; None if it cannot run."""
    out = torch.empty_like(p)
    return out if KERNELS["cuda"].call(name, (sums, p, out, *numbers)) else None


def differentiate(
    call: Callable[..., Tensor], inputs: tuple[Tensor, ...], needed: Sequence[bool], gradient: Tensor
) -> tuple[Tensor | None, ...]:
    """Return the gradients of ``call(*inputs)`` by those of ``inputs`` that are ``needed``; to any order."""
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        wanted = [each for each, needs in zip(inputs, needed, strict=True) if needs]
        found = iter(torch.autograd.grad(call(*inputs), wanted, gradient, create_graph=create))
    return tuple(next(found) if needs else None for needs in needed)


def run_values(
    name: str, shape: tuple[int, ...], dtype: torch.dtype, key: int, dropped: int, scale: float
) -> Tensor | None:
    """Return the numbers that the kernel ``name`` writes for few elements of ``dtype``; None if it cannot run."""
    # numpy's array and not torch's: a microsecond less, of fifteen.
    values = np.empty(shape, np.float64 if dtype == torch.float64 else np.float32)
    flat = values.reshape(-1)
    called = KERNELS["cpu"].call(name, (flat, key, dropped, scale))
    return torch.from_numpy(values) if called else None


Noise = tuple[Settings, Key, tuple[float, ...]]


def _launch_on_device(kernels: Kernels, name: str, arrays: list[Tensor], sums: list[Tensor], noise: Noise) -> bool:
    """Let the kernel ``name`` read all but the last of ``arrays`` and write the last and ``sums``.

    Returns:
        Whether it could.
    """
    x, (settings, key, numbers) = arrays[0], noise
    if not isinstance(settings, OfP):
        table, key = as_tensors(x, settings, key)
        settings = as_columns(table.detach(), x.shape)
    return kernels.call(name, (*arrays, *sums, key, settings, _count_chunks(x), *numbers))


def _launch_on_cpu(kernels: Kernels, name: str, arrays: list[Tensor], sums: list[Tensor], noise: Noise) -> bool:
    """Do the same on a CPU, where the kernels take addresses, and compute in float32 at least."""
    x, out, (settings, key, numbers) = arrays[0], arrays[-1], noise
    if isinstance(settings, OfP):
        settings = as_tensors(x, settings, key)[0]
    if isinstance(settings, Tensor):
        settings = as_columns(settings.detach().to(work_dtype(x)), x.shape).numpy()
    elif x.dtype == torch.float64:
        settings = settings.astype(np.float64, copy=False)
    if x.element_size() < 4:
        arrays = [array.float() for array in arrays]
    addresses = [array.data_ptr() for array in arrays]
    arguments = (*addresses, *[part.numpy() for part in sums], x.numel(), int(key), settings, *numbers)
    called = kernels.call(name, arguments, _count_chunks(x))
    if called and arrays[-1] is not out:
        out.copy_(arrays[-1])
    return called


def _count_chunks(x: Tensor) -> int:
    return -(-x.numel() // (CHUNK * LANES))
