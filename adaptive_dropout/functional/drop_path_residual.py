"""Stochastic depth that saves the work of what it drops: a residual branch runs on the kept examples alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from adaptive_dropout.functional.bernoulli import drop_path, dropout
from adaptive_dropout.functional.inputs import as_given, check_input, known_number
from adaptive_dropout.noise.backend import on_kernels
from adaptive_dropout.noise.keys import draw_key
from adaptive_dropout.noise.mask import mask
from adaptive_dropout.noise.settings import Key, bernoulli_numbers, work_dtype

__all__ = ["drop_path_residual"]


def drop_path_residual(
    x: Tensor, branch: Callable[[Tensor], Tensor], p: float | Tensor, key: Key | None = None
) -> Tensor:
    """Return ``x + drop_path(branch(x), p)``, (batch, ...), without running ``branch`` on the dropped examples.

    The mask is that of `drop_path` from the same state of torch's generator, so the result is the same wherever the
    branch treats examples apart and draws no random numbers. Batch normalisation in the branch sees the kept examples
    alone, in its statistics too. One example runs even where all are dropped, with the weight 0: every parameter then
    has a gradient, as data-parallel training asks.

    The branch runs on all examples where the number of kept ones cannot be known without waiting for the device or
    would be written into recorded code: for a ``p`` on a device that belongs to no rate, compiled, traced, under
    ``torch.func``, and while a CUDA graph is captured. What is kept is known in every other case from the key and p.

    Args:
        x: floating point.
        branch: takes some of the examples, (kept, ...), and returns a tensor of their shape. Whatever else it uses has
            to be the same for all examples.
        p: in [0, 1], 0-dim if it is a tensor.
        key: as in `dropout`; a tensor on another device than the CPU is not read there, and the branch runs on all.

    Raises:
        RuntimeError: ``x`` is not floating point, or the branch returns another shape.
        ValueError: ``p`` is outside [0, 1].

    Source: Huang et al. (2016), section 3, drawn for each example; running a subset is from Oquab et al. (2023).
    """
    check_input(x)
    number, key = known_number(p), as_given(key, x)
    if number is None or isinstance(key, Tensor) or not x.dim() or not len(x) or not _draws_on_host(x):
        return x + drop_path(branch(x), p, key)
    if number == 0.0:
        return x + branch(x)
    weights, kept = _draw(x, number, key)
    rows = (weights == 0).to(torch.uint8).argsort(stable=True)[: max(kept, 1)]
    part = x.index_select(0, rows)
    y = branch(part)
    if y.shape != part.shape:
        given, got = tuple(part.shape), tuple(y.shape)
        raise RuntimeError(f"a residual branch has to return the shape that it is given, {given}, but returned {got}")
    y = (y * weights.index_select(0, rows).view(-1, *(1,) * (y.dim() - 1))).to(y.dtype)
    dtype = torch.promote_types(x.dtype, y.dtype)
    return x.to(dtype).index_add(0, rows, y.to(dtype))


def _draw(x: Tensor, p: float, key: int | None) -> tuple[Tensor, int]:
    """Return the weight of each example of ``x``, 0 or 1 / (1 - p), on its device, and how many are kept.

    On a CUDA device the mask is drawn twice, there and on the host, from one key: nothing is copied or waited for.
    """
    ones = torch.ones(len(x), dtype=work_dtype(x), device="cpu")
    if x.is_cpu:
        weights = dropout(ones, p, key=key)
        return weights, int(weights.count_nonzero())
    settings = bernoulli_numbers(p, np.float64 if x.dtype == torch.float64 else np.float32)
    drawn = draw_key(x) if key is None else key
    weights = mask(torch.ones_like(ones, device=x.device), settings, drawn)
    return weights, int(mask(ones, settings, drawn).count_nonzero())


def _draws_on_host(x: Tensor) -> bool:
    """Return whether Python knows the key of noise on ``x``."""
    if not on_kernels(x):
        return False
    return x.is_cpu or (x.is_cuda and not torch.cuda.is_current_stream_capturing())
