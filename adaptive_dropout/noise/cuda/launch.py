"""The start of a kernel, with as little Python as it takes: most layers are so small that this is all of their time.

Triton's own call binds and inspects every argument, some 50 microseconds each time. So the compiled kernel of a first
call is kept, with what it was compiled for, and started directly from then on.
"""

# mypy: ignore-errors

from __future__ import annotations

import functools

import torch
from torch.cuda import current_device
from triton.runtime import driver

from adaptive_dropout.noise.loading import NotReadyError

__all__ = ["OPTIONS", "beside", "launch"]

OPTIONS = {"num_warps": 2, "enable_fp_fusion": False}

KEPT = {}
"""The compiled kernels, by name, device, arrays and constants; None for those that Triton has to start itself."""


def beside(held, x):
    """Return ``held`` on the device of ``x``: a layer need not have been moved there, as torch's need not be."""
    return held if not x.is_cuda else held.to(x.device, non_blocking=True)


def launch(kernel, programs, arrays, pointers, numbers, constants):
    """Start ``programs`` of ``kernel(*arrays, *pointers, *numbers, *constants)`` on the device of the first array.

    Args:
        kernel: of `masks`, `normals`, `gates` or `slopes`.
        programs: how many; 0 does nothing.
        arrays: contiguous tensors on one device.
        pointers: tensors of which the kernel reads single elements; None is read as 0.
        numbers: integers of 64 bits.
        constants: what the kernel is compiled for; the last, the dtype to compute in, follows from the arrays.

    Raises:
        NotReadyError: the kernel has not been compiled yet, and a CUDA graph is being captured.
    """
    if not programs:
        return
    device = arrays[0].get_device()
    if device >= 0 and device != current_device():
        with torch.cuda.device(device):
            launch(kernel, programs, arrays, pointers, numbers, constants)
            return
    # With 0 the kernel is the one of a captured graph: no other has to be compiled while a graph is being captured.
    tensors = [*arrays, *[_zero(device) if pointer is None else pointer for pointer in pointers]]
    arguments = (*tensors, *numbers, *constants)
    address = 0
    for array in arrays:
        address |= array.data_ptr()
    if address & 15:  # parts of other tensors: which of them start at multiples of 16 bytes is left to Triton
        kernel[(programs,)](*arguments, **OPTIONS)
        return
    choice = (kernel.__name__, device, *[tensor.dtype for tensor in tensors], *constants[:-1])
    kept = KEPT.get(choice)
    if kept is None:
        if device >= 0 and torch.cuda.is_current_stream_capturing():
            # To load a kernel is not allowed meanwhile. Warming up has not started it if p was 0 then.
            raise NotReadyError
        KEPT[choice] = _keep(kernel[(programs,)](*arguments, **OPTIONS))
        return
    if kept is by_triton:
        kernel[(programs,)](*arguments, **OPTIONS)
        return
    start, function, packed = kept
    try:
        start(programs, 1, 1, _stream_of()(device), function, packed, None, None, None, *arguments)
    except TypeError:  # a Triton whose compiled kernels take other arguments: nothing has been started yet
        KEPT[choice] = by_triton
        kernel[(programs,)](*arguments, **OPTIONS)


def by_triton():
    """Mark a kernel that only Triton's own call can start."""


def _keep(compiled):
    """Return what starts a compiled kernel; the mark if this Triton's has other parts, or runs its interpreter."""
    try:
        return compiled.run, compiled.function, compiled.packed_metadata
    except AttributeError:
        return by_triton


@functools.cache
def _zero(device):
    return torch.zeros((), dtype=torch.int64, device="cpu" if device < 0 else device)


@functools.cache
def _stream_of():
    """Return the function that gives the current stream of a device."""
    return driver.active.get_current_stream
