"""DropBlock: noise that drops contiguous blocks of a feature map, at exactly the rate that was asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from adaptive_dropout.checks import check_count
from adaptive_dropout.functional.bernoulli import dropout
from adaptive_dropout.functional.block_seeds import seed_rate, seed_rate_of
from adaptive_dropout.functional.inputs import (
    another,
    as_given,
    as_number,
    as_p,
    check_input,
    is_known_zero,
    known_number,
)
from adaptive_dropout.noise.philox import LEVELS
from adaptive_dropout.noise.settings import Key, work_dtype

__all__ = ["drop_block1d", "drop_block2d", "drop_block3d"]

LAYOUTS = {1: "length", 2: "height, width", 3: "d, h, w"}


def drop_block2d(
    x: Tensor, p: float | Tensor, block_size: int = 7, shared: bool = False, key: Key | None = None
) -> Tensor:
    """Zero square blocks of the maps of ``x``, (batch, channels, height, width); multiply the rest by ``1 / (1 - p)``.

    Blocks begin independently at each place from which they stay inside the map, and may overlap. How often is solved
    for, so that a share ``p`` of a map is lost in the mean, whatever the sizes; along a side that is shorter than a
    block, the block is as long as the side. As in the paper a pixel near the border is lost less often than one in the
    middle. Examples do not depend on each other. p = 0 is the identity, p = 1 gives zeros. No gradient reaches ``p``.

    >>> lost = drop_block2d(torch.ones(10_000, 1, 7, 9), 0.1, block_size=4) == 0
    >>> round(lost.double().mean().item(), 2)
    0.1

    Args:
        x: floating point.
        p: in [0, 1]; a tensor that broadcasts to (batch, channels, 1, 1) gives each map its own.
        block_size: height and width of a block, at least 1.
        shared: drop the same blocks in all channels; a p is then for an example.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``x`` does not have four dimensions, or is not floating point.
        TypeError, ValueError: ``block_size`` is not a whole number of at least 1, or ``p`` not in [0, 1].

    Source: Ghiasi et al. (2018), section 3, whose equation 1 is the rate of blocks to first order in p. They divide by
    the number of elements kept, which is 0 at times, and in public code couples the examples of a batch.
    """
    return _drop_blocks(x, p, block_size, shared, key)


def drop_block1d(
    x: Tensor, p: float | Tensor, block_size: int = 7, shared: bool = False, key: Key | None = None
) -> Tensor:
    """Drop pieces of ``block_size`` neighbours of ``x``, (batch, channels, length); otherwise as `drop_block2d`."""
    return _drop_blocks(x, p, block_size, shared, key, 1)


def drop_block3d(
    x: Tensor, p: float | Tensor, block_size: int = 7, shared: bool = False, key: Key | None = None
) -> Tensor:
    """Drop cubes of ``block_size`` voxels a side of ``x``, (batch, channels, d, h, w); otherwise as `drop_block2d`."""
    return _drop_blocks(x, p, block_size, shared, key, 3)


def _drop_blocks(x: Tensor, p: float | Tensor, block_size: int, shared: bool, key: Key | None, dims: int = 2) -> Tensor:
    check_input(x)
    key = as_given(key, x)
    check_count(block_size, "block_size")
    if x.dim() != dims + 2:
        layout = f"(batch, channels, {LAYOUTS[dims]})"
        raise RuntimeError(f"drop_block{dims}d takes {layout}, but got shape {tuple(x.shape)}")
    if is_known_zero(p, as_number(p)) or not x.numel():
        return x
    maps = x.new_ones(x.shape[0], 1 if shared else x.shape[1], *(1,) * dims, dtype=work_dtype(x))
    sizes = tuple(x.shape[2:])
    blocks = tuple(min(block_size, size) for size in sizes)
    g, used, scale = _rates(p, maps, sizes, blocks)
    places = [size - block + 1 for size, block in zip(sizes, blocks, strict=True)]
    begins = dropout(maps.new_ones(*maps.shape[:2], *places), g, key=key) == 0
    loses = dropout(maps, used, key=another(key)) == 0
    compiling = torch.compiler.is_compiling()
    lost = _grow_reference(begins & loses, blocks) if compiling else _grow(begins & loses, sizes, blocks)
    return (x * torch.where(lost, 0.0, scale)).to(x.dtype)


def _rates(
    p: float | Tensor, maps: Tensor, sizes: tuple[int, ...], blocks: tuple[int, ...]
) -> tuple[float | Tensor, float | Tensor, float | Tensor]:
    """Return how often a block begins, how often a map loses its blocks, and the scale of what is kept."""
    number = known_number(p)
    if number is not None:
        return *seed_rate_of(number, sizes, blocks), 1 / max(1 - number, 0.5 / LEVELS)
    p = as_p(p, maps)
    return *seed_rate(p, sizes, blocks), 1 / (1 - p).clamp(min=0.5 / LEVELS)


def _grow(seeds: Tensor, sizes: tuple[int, ...], blocks: tuple[int, ...]) -> Tensor:
    """Return where a block lies that begins at one of ``seeds``: (batch, channels, *sizes), bool.

    It does what `_grow_reference` does by shifts of the whole memory: behind the seeds of each row and each map lie
    zeros, as many as a block is long, so that nothing gets from one row or map into the next. For blocks of 7 it is six
    passes over a byte a pixel. Max-pooling with a window of 7 x 7, the usual way, took 20 to 80 times as long on a CPU.
    """
    edges = [edge for block in reversed(blocks) for edge in (0, block - 1)]
    grown = F.pad(seeds.to(torch.uint8), edges)
    shape, strides = grown.shape, [math.prod(sizes[dim + 1 :]) for dim in range(len(sizes))]
    flat = F.pad(grown.flatten(), (sum((b - 1) * stride for b, stride in zip(blocks, strides, strict=True)), 0))
    for block, stride in zip(blocks, strides, strict=True):
        for step in _steps(block):
            flat = torch.maximum(flat[step * stride :], flat[: -step * stride])
    return flat.reshape(shape).bool()


def _grow_reference(seeds: Tensor, blocks: tuple[int, ...]) -> Tensor:
    """Return the same: a block grows by shifted copies of its first pixel, then of two, of four, along each dimension.

    Compiled code takes this form: it is fused anyway, and with sizes that are symbols the compiler took two minutes to
    think about lengths of the whole memory.
    """
    grown = seeds.to(torch.uint8)
    for dim, block in enumerate(blocks, start=-len(blocks)):
        grown = F.pad(grown, [0, 0] * (-1 - dim) + [block - 1, block - 1])
        for step in _steps(block):
            length = grown.shape[dim] - step
            grown = torch.maximum(grown.narrow(dim, step, length), grown.narrow(dim, 0, length))
    return grown.bool()


def _steps(block: int) -> Iterator[int]:
    """Yield by how much copies are shifted until one pixel has become ``block`` of them."""
    length = 1
    while length < block:
        step = min(length, block - length)
        yield step
        length += step
