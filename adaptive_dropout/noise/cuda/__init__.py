"""Kernels for CUDA devices, in Triton: the bits of `philox`, one pass over memory, and no waiting for the host.

A program does one chunk and each of its threads eight neighbouring counters, so that it loads and stores 16 bytes of
bfloat16 or 32 of float32 at a time. p is read from device memory, and the settings of the noise are made of it there,
so a captured CUDA graph replays with the p that it holds then. Products and sums are rounded one by one, as on the CPU,
so fused multiply-add is off.

Under Triton's interpreter the same kernels run on a CPU.
"""

# mypy: ignore-errors

from __future__ import annotations

import math

import torch
import triton.language as tl

from adaptive_dropout.noise.cuda import gates, launch, masks, normals, slopes
from adaptive_dropout.noise.philox import CHUNK, LANES
from adaptive_dropout.noise.settings import ALPHA, GIVEN, OfP, as_columns

__all__ = [
    "concrete_slope",
    "gate",
    "gate_backward",
    "gaussian",
    "gaussian_backward",
    "gaussian_slope",
    "mask",
    "mask_add",
    "mask_shared",
    "relu_mask",
    "relu_mask_backward",
]


def mask(x, out, key, settings, chunks):
    """Write ``x`` times the scale, plus the shift; settings as in `adaptive_dropout.noise.mask`."""
    pointers, numbers, (law, *constants) = _read(x, key, settings)
    launch.launch(masks.mask, chunks, (x, out), pointers, numbers, (law, _is_shifted(settings), *constants))


def mask_shared(x, out, key, settings, chunks, shared):
    """Write the same where ``shared`` neighbours have one element of the mask."""
    pointers, (key, size, _), (law, _, _, work) = _read(x, key, settings)
    group = math.gcd(shared, LANES)
    narrow = size + CHUNK * group < 2**31
    constants = law, _is_shifted(settings), group, narrow, work
    launch.launch(masks.mask_shared, -(-size // (CHUNK * group)), (x, out), pointers, (key, size, shared), constants)


def mask_add(x, residual, out, key, settings, chunks):
    """Write ``x`` times the scale plus ``residual``; settings as in `mask`."""
    launch.launch(masks.mask_add, chunks, (x, residual, out), *_read(x, key, settings))


def relu_mask(x, bias, out, key, settings, chunks, features):
    """Write max(``x`` + ``bias``, 0) times the scale; settings as in `mask`."""
    pointers, numbers, constants = _read(x, key, settings)
    launch.launch(masks.relu_mask, chunks, (x, bias, out), pointers, (*numbers, features), constants)


def relu_mask_backward(y, gradient, out, key, settings, chunks):
    """Write ``gradient`` times the scale where ``y`` is above 0."""
    pointers, numbers, constants = _read(y, key, settings)
    launch.launch(masks.relu_mask_backward, chunks, (y, gradient, out), pointers[1:], numbers[1:], constants)


def gaussian(x, out, key, settings, chunks):
    """Write ``x (offset + std e)``; settings as in `adaptive_dropout.noise.normal`."""
    launch.launch(normals.gaussian, chunks, (x, out), *_read(x, key, settings))


def gaussian_backward(x, gradient, out, sums, key, settings, chunks):
    """Write ``gradient (offset + std e)``, and the sums of x gradient e over each chunk into the first of ``sums``."""
    pointers, numbers, (law, _, *constants) = _read(x, key, settings)
    arrays = x, gradient, out, sums
    launch.launch(normals.gaussian_backward, chunks, arrays, pointers, numbers[:2], (law, *constants))


def gate(x, out, key, settings, chunks, exponent, limit):
    """Write ``x scale k``; settings as in `adaptive_dropout.noise.gate`."""
    pointers, numbers, (*constants, work) = _read(x, key, settings)
    launch.launch(gates.gate, chunks, (x, out), pointers, numbers, (*constants, exponent, limit, work))


def gate_backward(x, gradient, out, sums, key, settings, chunks, exponent, limit):
    """Write ``gradient scale k``, and the sums of x gradient k and of it times 1 - k over each chunk into ``sums``."""
    pointers, numbers, (law, _, whole, work) = _read(x, key, settings)
    arrays, constants = (x, gradient, out, sums), (law, whole, exponent, limit, work)
    launch.launch(gates.gate_backward, chunks, arrays, pointers, numbers[:2], constants)


def gaussian_slope(sums, p, out):
    """Write the gradient of ``p`` from the sums of `gaussian_backward`."""
    launch.launch(slopes.gaussian_slope, 1, (sums, out), (p,), (sums.shape[1],), (_work(sums),))


def concrete_slope(sums, p, out, temperature):
    """Write the gradient of ``p`` from the sums of `gate_backward`."""
    launch.launch(slopes.concrete_slope, 1, (sums, out), (p,), (sums.shape[1],), (temperature, _work(sums)))


def _read(x, key, settings):
    """Return the pointers, the numbers and the constants that most kernels take.

    Pointers are the key, if it lies in memory, and p or the table of settings; numbers are the key otherwise, the
    elements and the columns; constants are the law, whether one column is for all, and what else `masks` says.
    """
    if isinstance(settings, OfP):
        held, law = settings.p, settings.law.number
        if held.dim():
            held = as_columns(held.unsqueeze(0), x.shape)
        columns = held.numel()
    else:
        held, law, columns = settings, GIVEN, settings.shape[1]
    if not held.is_cuda:
        held = launch.beside(held, x)
    size = x.numel()
    drawn, key = (key, 0) if isinstance(key, torch.Tensor) else (None, key)
    return (drawn, held), (key, size, columns), (law, columns == 1, not size & 15, _work(x))


def _is_shifted(settings):
    return settings.shifted and settings.law is ALPHA if isinstance(settings, OfP) else len(settings) > 2


def _work(x):
    return tl.float64 if x.dtype == torch.float64 else tl.float32
