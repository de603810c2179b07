"""The kernels of `cuda` under Triton's interpreter, in a process of its own: that is chosen when Triton is imported.

``python -m tests.noise.interpreted FILE`` writes what each kernel makes of each case, `torch.load` reads it.
"""

from __future__ import annotations

import itertools
import sys

import torch
from torch import Tensor

from adaptive_dropout.noise.philox import CHUNK, LANES
from adaptive_dropout.noise.settings import as_columns, work_dtype
from tests.noise.cases import KEY
from tests.noise.interpreted_of_p import CASES

# A program of the interpreter takes 50 ms: every dtype at one shape of two chunks, and every shape in one dtype.
SHAPES = [(1,), (511,), (4096,), (9001,)]
CHANNELS = (3, 5, 7, 41)
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
SHAPES_AND_DTYPES = [(shape, torch.float32) for shape in SHAPES] + [(CHANNELS, dtype) for dtype in DTYPES]
EXPONENTS = [10.0, 1.5, 1.0, 7.0]
LIMIT = 2.0**12
NAMES = ["mask", "shifted", "mask_add", "relu_mask", "gaussian", "gate"]


def variants(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> list[tuple[bool, float]]:
    """Return which of a p for each channel, and which exponents, a kernel is run with."""
    exponents = [0.0] if name != "gate" else EXPONENTS if shape == CHANNELS and dtype.itemsize > 2 else EXPONENTS[:1]
    per_channel = [False] if shape != CHANNELS else [False, True] if dtype == torch.float32 else [True]
    return [(each, exponent) for each in per_channel for exponent in exponents]


def case(name: str, shape: tuple[int, ...], dtype: torch.dtype, per_channel: bool) -> tuple[Tensor, Tensor]:
    """Return x and the settings, (settings,) or with a p for each channel."""
    generator = torch.Generator().manual_seed(len(shape) + shape[0])
    x = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    p = torch.rand((1, shape[1], *[1] * (len(shape) - 2)) if per_channel else (), generator=generator).double()
    settings = {
        "mask": ((p * 65536).round(), 1 + p),
        "mask_add": ((p * 65536).round(), 1 + p),
        "relu_mask": ((p * 65536).round(), 1 + p),
        "shifted": ((p * 65536).round(), 1 + p, p / 3, -p),
        "gaussian": (1 - p, p),
        "gate": (p / (1.01 - p), 1 + p),
    }
    return x, torch.stack(settings[name]).to(work_dtype(x))


def others(name: str, x: Tensor) -> tuple[Tensor, ...]:
    """Return what the kernel reads beside x: a residual, or a bias."""
    more = {"mask_add": x.flatten().flip(0).reshape(x.shape), "relu_mask": x.flatten()[-x.shape[-1] :]}
    return (more[name],) if name in more else ()


def results() -> dict[str, Tensor]:
    from adaptive_dropout.noise import cuda

    made = {}
    for name, (shape, dtype) in itertools.product(NAMES, SHAPES_AND_DTYPES):
        kernel = getattr(cuda, "mask" if name == "shifted" else name)
        for per_channel, exponent in variants(name, shape, dtype):
            x, settings = case(name, shape, dtype, per_channel)
            # The interpreter cuts bfloat16 off where devices round, so that is left to torch.
            out = torch.empty_like(x, dtype=torch.float32 if dtype == torch.bfloat16 else dtype)
            chunks = -(-x.numel() // (CHUNK * LANES))
            numbers = {"gate": (exponent, LIMIT), "relu_mask": (shape[-1],)}.get(name, ())
            kernel(x, *others(name, x), out, KEY, as_columns(settings, x.shape), chunks, *numbers)
            made[f"{name} {shape} {dtype} {per_channel} {exponent}"] = out.to(dtype)
    return made


def backward_results() -> dict[str, Tensor]:
    from adaptive_dropout.noise import cuda

    made = {}
    for dtype in (torch.float32, torch.float64):
        x, settings = case("gate", (9001,), dtype, False)
        gradient, sums = x.flip(0), torch.empty(2, 3, dtype=dtype)
        out = torch.empty_like(x)
        cuda.gate_backward(x, gradient, out, sums, KEY, settings.unsqueeze(1), 3, 10.0, LIMIT)
        made[f"out {dtype}"], made[f"sums {dtype}"] = out.clone(), sums.clone()
    return made


def of_p_results() -> dict[str, Tensor]:
    from adaptive_dropout.noise import cuda

    return {name: case.make(cuda) for name, case in CASES.items()}


if __name__ == "__main__":
    torch.save((results(), backward_results(), of_p_results()), sys.argv[1])
