"""Kernels for CUDA devices, in Triton: the bits of `philox`, one pass over memory, nothing that waits for the host.

A program does one chunk, each thread eight neighbouring counters, so that it loads and stores 16 bytes of bfloat16 or
32 of float32 at a time. Keys and settings are read from device memory, so a captured CUDA graph replays with whatever
they hold then. Products and sums are rounded one by one, as on the CPU, hence the contraction of both is off.

Under Triton's interpreter the same kernels run on a CPU.
"""

# mypy: ignore-errors

from __future__ import annotations

import torch
import triton
import triton.language as tl

from adaptive_dropout.noise import normal, philox

__all__ = ["gate", "gate_backward", "gaussian", "mask", "mask_add", "relu_mask"]

BLOCK, CHUNK = tl.constexpr(philox.BLOCK), tl.constexpr(philox.CHUNK)
LEVELS = tl.constexpr(philox.LEVELS)
LN_2_HIGH, LN_2_LOW = (tl.constexpr(c) for c in normal.LN_2)
SQRT_HALF = tl.constexpr(normal.SQRT_HALF)
S0, S1, S2, S3, S4, S5 = map(tl.constexpr, normal.SIN)
C0, C1, C2, C3, C4, C5, C6 = map(tl.constexpr, normal.COS)
L0, L1, L2, L3, L4, L5, L6, L7, L8 = map(tl.constexpr, normal.LN)
OPTIONS = {"num_warps": 2, "enable_fp_fusion": False}


def mask(x, out, key, settings, chunks):
    """Write ``x`` times the scale, plus the shift; settings as in `adaptive_dropout.noise.mask`."""
    _launch(_mask, chunks, (x, out), key, settings, shifted=len(settings) > 2)


def mask_add(x, residual, out, key, settings, chunks):
    """Write ``x`` times the scale plus ``residual``; settings as in `mask`."""
    _launch(_mask_add, chunks, (x, residual, out), key, settings)


def relu_mask(x, bias, out, key, settings, chunks, features):
    """Write max(``x`` + ``bias``, 0) times the scale; settings as in `mask`."""
    _launch(_relu_mask, chunks, (x, bias, out), key, settings, features=features)


def gaussian(x, out, key, settings, chunks):
    """Write ``x (offset + std e)``; settings as in `adaptive_dropout.noise.normal`."""
    _launch(_gaussian, chunks, (x, out), key, settings)


def gate(x, out, key, settings, chunks, exponent, limit):
    """Write ``x scale k``; settings as in `adaptive_dropout.noise.gate`."""
    _launch(_gate, chunks, (x, out), key, settings, exponent=exponent, limit=limit)


def gate_backward(x, gradient, out, sums, key, settings, chunks, exponent, limit):
    """Write ``gradient scale k``, and the sums of x gradient k and of it times 1 - k over each chunk into ``sums``."""
    if chunks:
        with torch.cuda.device_of(settings):
            _gate_backward[(chunks,)](
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


@triton.jit
def _mask(x, out, key, settings, size, columns, shifted: tl.constexpr, uniform: tl.constexpr, work: tl.constexpr):
    words = _words(key)
    for lane in tl.static_range(8):
        i, inside = _positions(lane, 8, size)
        column = _column(i, size, columns, uniform)
        keep, factor = _keep_or_drop(_half(words, lane), settings + column, columns)
        y = tl.load(x + i, inside, other=0).to(work) * factor
        if shifted:
            y += tl.where(keep, tl.load(settings + 2 * columns + column), tl.load(settings + 3 * columns + column))
        tl.store(out + i, y, inside)


@triton.jit
def _mask_add(x, residual, out, key, settings, size, columns, uniform: tl.constexpr, work: tl.constexpr):
    words = _words(key)
    for lane in tl.static_range(8):
        i, inside = _positions(lane, 8, size)
        _, factor = _keep_or_drop(_half(words, lane), settings + _column(i, size, columns, uniform), columns)
        y = tl.load(x + i, inside, other=0).to(work) * factor + tl.load(residual + i, inside, other=0).to(work)
        tl.store(out + i, y, inside)


@triton.jit
def _relu_mask(x, bias, out, key, settings, size, columns, features, uniform: tl.constexpr, work: tl.constexpr):
    words = _words(key)
    for lane in tl.static_range(8):
        i, inside = _positions(lane, 8, size)
        _, factor = _keep_or_drop(_half(words, lane), settings + _column(i, size, columns, uniform), columns)
        value = tl.load(x + i, inside, other=0).to(work) + tl.load(bias + i % features).to(work)
        tl.store(out + i, tl.where(value < 0, 0, value) * factor, inside)


@triton.jit
def _gaussian(x, out, key, settings, size, columns, uniform: tl.constexpr, work: tl.constexpr):
    words = _words(key)
    normals = _box_muller(words[0], words[1]) + _box_muller(words[2], words[3])
    for lane in tl.static_range(4):
        i, inside = _positions(lane, 4, size)
        column = _column(i, size, columns, uniform)
        factor = tl.load(settings + column) + tl.load(settings + columns + column) * normals[lane].to(work)
        tl.store(out + i, tl.load(x + i, inside, other=0).to(work) * factor, inside)


@triton.jit
def _gate(
    x,
    out,
    key,
    settings,
    size,
    columns,
    exponent: tl.constexpr,
    limit: tl.constexpr,
    uniform: tl.constexpr,
    work: tl.constexpr,
):
    words = _words(key)
    for lane in tl.static_range(8):
        i, inside = _positions(lane, 8, size)
        column = _column(i, size, columns, uniform)
        keep = _keep(_half(words, lane), tl.load(settings + column), exponent, limit, work)
        factor = tl.load(settings + columns + column) * keep
        tl.store(out + i, tl.load(x + i, inside, other=0).to(work) * factor, inside)


@triton.jit
def _gate_backward(
    x, gradient, out, sums, key, settings, size, exponent: tl.constexpr, limit: tl.constexpr, work: tl.constexpr
):
    words, program = _words(key), tl.program_id(0).to(tl.int64)
    of_k, of_slope = tl.zeros((CHUNK,), work), tl.zeros((CHUNK,), work)
    for lane in tl.static_range(8):
        i, inside = _positions(lane, 8, size)
        keep = _keep(_half(words, lane), tl.load(settings), exponent, limit, work)
        arriving = tl.load(gradient + i, inside, other=0).to(work)
        tl.store(out + i, arriving * (tl.load(settings + 1) * keep), inside)
        product = arriving * tl.load(x + i, inside, other=0).to(work) * keep
        of_k += product
        of_slope += product * (1 - keep)
    tl.store(sums + program, tl.sum(of_k, 0))
    tl.store(sums + tl.num_programs(0) + program, tl.sum(of_slope, 0))


@triton.jit
def _words(key):
    """Return the four words of the counters of this program's chunk."""
    counter = tl.program_id(0).to(tl.int64) * CHUNK + tl.arange(0, CHUNK)
    low, high = (counter & 0xFFFFFFFF).to(tl.uint32), (counter >> 32).to(tl.uint32)
    zero = tl.zeros((CHUNK,), tl.uint32)
    return tl.philox(tl.load(key), low, high, zero, zero)


@triton.jit
def _positions(lane: tl.constexpr, lanes: tl.constexpr, size):
    """Return where the elements of one lane of this program's chunk stand, and which of them there are."""
    c = tl.program_id(0).to(tl.int64) * CHUNK + tl.arange(0, CHUNK)
    i = (c // BLOCK * lanes + lane) * BLOCK + c % BLOCK
    return i, i < size


@triton.jit
def _column(i, size, columns, uniform: tl.constexpr):
    """Return the column of settings for the elements ``i``; the last one for those past the end."""
    return 0 if uniform else tl.minimum(i // (size // columns), columns - 1)


@triton.jit
def _half(words, lane: tl.constexpr):
    return ((words[lane // 2] >> (16 * (lane % 2))) & 0xFFFF).to(tl.int32)


@triton.jit
def _keep_or_drop(half, settings, columns):
    """Return which elements are kept, and what each is multiplied by."""
    keep, scale = half >= tl.load(settings).to(tl.int32), tl.load(settings + columns)
    return keep, tl.where(keep, scale, 0 * scale)


@triton.jit
def _keep(half, odds, exponent: tl.constexpr, limit: tl.constexpr, work: tl.constexpr):
    """Return k, with the operations of `gate.keep` in order."""
    u = (half.to(work) + 0.5) * (1 / LEVELS)
    base = tl.minimum(odds * _divided(u, 1 - u), limit)
    return _divided(tl.full((CHUNK,), 1, work), 1 + _power(base, exponent, work))


@triton.jit
def _divided(a, b):
    return tl.div_rn(a, b) if a.dtype == tl.float32 else a / b


@triton.jit
def _rooted(x):
    return tl.sqrt_rn(x) if x.dtype == tl.float32 else tl.sqrt(x)


@triton.jit
def _power(base, exponent: tl.constexpr, work: tl.constexpr):
    """Return ``base`` to the ``exponent``; a multiple of 1/2 up to 32 by multiplications, as on the CPU."""
    twice: tl.constexpr = int(2 * exponent)
    if twice != 2 * exponent or twice > 64:
        power = tl.exp2(exponent * tl.log2(base))
    else:
        power = _rooted(base) if twice % 2 else tl.full((CHUNK,), 1, work)
        for bit in tl.static_range(6):
            if (twice // 2) >> bit & 1:
                power = power * base
            if (twice // 2) >> bit > 1:
                base = base * base
    return power


@triton.jit
def _box_muller(first, second):
    """Return two normals for each pair of words, with the operations of `normal.box_muller` in order."""
    u = (first.to(tl.float32) + 0.5) * 2.0**-32
    bits = u.to(tl.int32, bitcast=True)
    exponent = (bits - 0x3F3504F3) >> 23
    f = (bits - (exponent << 23)).to(tl.float32, bitcast=True) - 1
    n = exponent.to(tl.float32)
    log = _log_rest(f) * f * (f * f) + n * LN_2_LOW - 0.5 * (f * f) + f + n * LN_2_HIGH
    radius = tl.sqrt_rn(-2 * log)
    t = ((second >> 9).to(tl.float32) + 0.5) * 2.0**-23 - 0.5
    signed = tl.where(second & 1 == 1, radius, -radius)
    return signed * _cosine(t * t), signed * (t * _sine(t * t))


@triton.jit
def _log_rest(x):
    return (((((((L8 * x + L7) * x + L6) * x + L5) * x + L4) * x + L3) * x + L2) * x + L1) * x + L0


@triton.jit
def _cosine(x):
    return (((((C6 * x + C5) * x + C4) * x + C3) * x + C2) * x + C1) * x + C0


@triton.jit
def _sine(x):
    return ((((S5 * x + S4) * x + S3) * x + S2) * x + S1) * x + S0
