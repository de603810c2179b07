"""`mc_samples`: many predictions of one input, each with dropout masks of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from adaptive_dropout.checks import check_count
from adaptive_dropout.inference.folding import apart, together
from adaptive_dropout.inference.mc_mode import check_eager, droppers, no_dropout, noise_on
from adaptive_dropout.inference.vmapped import generators, passes_at_once

__all__ = ["consistent_mc_samples", "mc_samples"]

ROWS = 1024  # in a batch at a time: a chunk costs a millisecond of its own, and more rows leave the cache of a CPU

Forward = Callable[[Any], Tensor]


def mc_samples(
    model: nn.Module, x: Any, samples: int = 100, chunk: int | None = None, forward: Forward | None = None
) -> Tensor:
    """Return predictions of ``x`` with dropout on, (samples, batch, ...), without a gradient.

    Each sample has the distribution of a full forward pass inside `mc_dropout`, independent of the others. The part
    before the first dropout is computed once, and the rest for several samples at a time. A model that does not allow
    this runs once for each sample, and a warning says why.

    >>> model = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    >>> mc_samples(model, torch.ones(4, 2), samples=50).softmax(-1).mean(0).shape
    torch.Size([4, 3])

    Args:
        model: in any mode; its modes, buffers and weights stay as they are.
        x: the input of the model.
        samples: at least 1.
        chunk: how many samples are computed at a time. It bounds the memory to that of a batch so many times as large,
            plus the results of one pass up to its first dropout. By default as many as make 1024 rows.
        forward: called with ``x`` instead of the model, for another way to call it or an output that is not a tensor,
            as in ``lambda batch: model(**batch).logits``.

    Raises:
        TypeError: the model is compiled or scripted, its output is not a tensor, or a count is not an integer.
        ValueError: a count is less than 1, or nothing in the model drops.

    Source: Gal and Ghahramani (2016).
    """
    sizes = _sizes(x, samples, chunk)
    with _prepared(model):
        call = _call(forward or model, x)
        try:
            drawn = torch.cat(list(passes_at_once(model, call, sizes, apart)))
        except Exception as error:  # of any kind: the loop serves every model, and raises again what is the model's own
            drawn = torch.stack([call() for _ in range(samples)])
            why = str(error).split("\n")[0] or repr(error)
            warnings.warn(
                f"{type(model).__name__} runs {samples} passes one after the other, which is slower than all at once: "
                f"{why}",
                RuntimeWarning,
                stacklevel=2,
            )
    return drawn


def consistent_mc_samples(
    model: nn.Module, x: Any, samples: int = 100, chunk: int | None = None, forward: Forward | None = None
) -> Tensor:
    """Return the same as `mc_samples`, but with one set of masks for all examples of a sample.

    A sample is then one function applied to the whole batch: its outputs can be compared between examples, and means
    over the batch keep their uncertainty. At each dropout the examples have to be along the first dimension.

    Raises:
        ValueError: as in `mc_samples`; or a dropout has the examples along another dimension, or draws its masks inside
            torch, as recurrent and attention layers do.

    Source: Kirsch et al. (2019), "BatchBALD", section 4.
    """
    sizes = _sizes(x, samples, chunk)
    with _prepared(model):
        call, fold = _call(forward or model, x), together(_rows(x))
        return torch.cat(list(passes_at_once(model, call, sizes, fold)))


def _sizes(x: Any, samples: int, chunk: int | None) -> list[int]:
    """Return the size of each chunk."""
    check_count(samples, "samples")
    if chunk is None:
        chunk = max(ROWS // max(_rows(x), 1), 1)
    whole, rest = divmod(samples, check_count(chunk, "chunk"))
    return [chunk] * whole + [rest] * (rest > 0)


def _rows(x: Any) -> int:
    """Return the size of the batch: that of the first tensor in ``x`` that has dimensions."""
    return next((len(leaf) for leaf in tree_leaves(x) if isinstance(leaf, Tensor) and leaf.dim()), 1)


@contextmanager
def _prepared(model: nn.Module) -> Iterator[None]:
    check_eager(model)
    # Not in inference mode, in which nothing tells whether a tensor was written to.
    with torch.inference_mode(False), torch.no_grad(), noise_on(model):
        before = generators()
        yield
        if generators() == before and not droppers(model):
            raise ValueError(no_dropout(model))


def _call(forward: Forward, x: Any) -> Callable[[], Tensor]:
    x = tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) and leaf.is_inference() else leaf, x)

    def call() -> Tensor:
        y = forward(x)
        if not isinstance(y, Tensor):
            raise TypeError(
                f"a sample has to be a tensor, but got {type(y).__name__}; name the part of it that you want, as in "
                "mc_samples(..., forward=lambda x: model(x).logits)"
            )
        return y

    return call
