"""Kernels for CUDA devices, in Triton: the bits of `philox`, one pass over memory, and no waiting for the host.

A program does one chunk and each of its threads eight neighbouring counters, so that it loads and stores 16 bytes of
bfloat16 or 32 of float32 at a time. Keys and settings are read from device memory, so a captured CUDA graph replays
with the values that they hold then. Products and sums are rounded one by one, as on the CPU, so fused multiply-add is
off.

Under Triton's interpreter the same kernels run on a CPU.
"""

# mypy: ignore-errors

from __future__ import annotations

import torch
import triton.language as tl

from adaptive_dropout.noise.cuda import kernels

__all__ = ["OPTIONS", "gate", "gate_backward", "gaussian", "mask", "mask_add", "relu_mask"]

OPTIONS = {"num_warps": 2, "enable_fp_fusion": False}


def mask(x, out, key, settings, chunks):
    """Write ``x`` times the scale, plus the shift; settings as in `adaptive_dropout.noise.mask`."""
    _launch(kernels.mask, chunks, (x, out), key, settings, shifted=len(settings) > 2)


def mask_add(x, residual, out, key, settings, chunks):
    """Write ``x`` times the scale plus ``residual``; settings as in `mask`."""
    _launch(kernels.mask_add, chunks, (x, residual, out), key, settings)


def relu_mask(x, bias, out, key, settings, chunks, features):
    """Write max(``x`` + ``bias``, 0) times the scale; settings as in `mask`."""
    _launch(kernels.relu_mask, chunks, (x, bias, out), key, settings, features=features)


def gaussian(x, out, key, settings, chunks):
    """Write ``x (offset + std e)``; settings as in `adaptive_dropout.noise.normal`."""
    _launch(kernels.gaussian, chunks, (x, out), key, settings)


def gate(x, out, key, settings, chunks, exponent, limit):
    """Write ``x scale k``; settings as in `adaptive_dropout.noise.gate`."""
    _launch(kernels.gate, chunks, (x, out), key, settings, exponent=exponent, limit=limit)


def gate_backward(x, gradient, out, sums, key, settings, chunks, exponent, limit):
    """Write ``gradient scale k``, and the sums of x gradient k and of it times 1 - k over each chunk into ``sums``."""
    if chunks:
        with torch.cuda.device_of(settings):
            kernels.gate_backward[(chunks,)](
                x, gradient, out, sums, key, settings, x.numel(), exponent, limit, work=_work(settings), **OPTIONS
            )


def _launch(kernel, chunks, arrays, key, settings, **choices):
    if chunks:
        columns = settings.shape[1]
        choices |= {"uniform": columns == 1, "work": _work(settings)}
        with torch.cuda.device_of(settings):
            kernel[(chunks,)](*arrays, key, settings, arrays[0].numel(), columns, **choices, **OPTIONS)


def _work(settings):
    return tl.float64 if settings.dtype == torch.float64 else tl.float32
