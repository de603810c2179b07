"""Kernels on the device beside their references in torch operations on the CPU, element by element."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.gpu.noises import NOISES, Noise
from benchmarks.gpu.run import Measured, Run, explain, skip

__all__ = ["compare", "measure"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "fp64": torch.float64}
PS = (0.001, 0.3, 0.999, 1.0)
KEY = 0x123456789ABCDEF


def measure(run: Run) -> Iterator[Measured]:
    """Yield for each noise and dtype the share of equal elements and the largest difference, over all layouts and p."""
    for name, dtype in run.choose(DTYPES, dict(list(DTYPES.items())[:2])).items():
        for noise, pair in NOISES.items():
            if run.late():
                yield skip(noise, name, "", "equal", "the time was up")
                continue
            try:
                inputs = _layouts(dtype, run.choose(1 << 20, 1 << 12))
                equal, total, largest = _over_all(pair, inputs, run.device)
            except Exception as error:
                yield skip(noise, name, "", "equal", explain(error))
                continue
            yield Measured(noise, name, "", "elements", total)
            yield Measured(noise, name, "", "equal", equal / total)
            yield Measured(noise, name, "", "largest difference", largest)


def compare(found: Tensor, reference: Tensor) -> tuple[int, float]:
    """Return how many elements are equal, and the largest difference relative to the size of the reference.

    NaN equals NaN; a difference where the reference is 0 or not finite counts as infinite.
    """
    found, reference = found.double(), reference.double()
    equal = (found == reference) | (found.isnan() & reference.isnan())
    off = ((found - reference).abs() / reference.abs()).nan_to_num(nan=torch.inf, posinf=torch.inf)
    return int(equal.sum()), float(torch.where(equal, 0.0, off).max()) if off.numel() else 0.0


def _over_all(pair: tuple[Noise, Noise], inputs: list[Tensor], device: str) -> tuple[int, int, float]:
    kernel, reference = pair
    equal, total, largest = 0, 0, 0.0
    key = torch.tensor(KEY)
    for x in inputs:
        for number in PS:
            # All are made here and moved: CUDA divides by a Python number through its reciprocal.
            p = torch.tensor(number)
            found = kernel(x.to(device), p.to(device), key.to(device)).cpu()
            same, difference = compare(found, reference(x, p, key))
            equal, total, largest = equal + same, total + x.numel(), max(largest, difference)
    return equal, total, largest


@functools.cache
def _layouts(dtype: torch.dtype, elements: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 7, 41, dtype=torch.float64, generator=generator).to(dtype)  # no multiple of anything
    wide = torch.randn(elements // 64, 64, dtype=torch.float64, generator=generator).to(dtype)
    return [x, x.to(memory_format=torch.channels_last), x.transpose(0, 3), x[:, ::2, :, 1::3], wide]
