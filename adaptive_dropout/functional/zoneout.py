"""Zoneout: units of a recurrent state that keep their previous value, instead of becoming 0."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_dropout.functional.bernoulli import dropout
from adaptive_dropout.functional.inputs import as_given, as_number, check_input, is_known_zero
from adaptive_dropout.noise.settings import Key

__all__ = ["updated", "zoneout"]


def zoneout(new: Tensor, old: Tensor, p: float | Tensor, key: Key | None = None) -> Tensor:
    """Return ``new``, in which each element is that of ``old`` with probability ``p``. Nothing is rescaled.

    p = 0 returns ``new`` itself and draws nothing; p = 1 returns the values of ``old``. Gradients reach both, each
    where it was taken; none reaches ``p``. In evaluation take the mean, p old + (1 - p) new, as `Zoneout` does.

    Args:
        new: the state that the cell has computed, any shape, floating point.
        old: the state before, of the same shape.
        p: the probability of keeping the *old* value, in [0, 1]; a tensor that broadcasts gives each element its own.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``new`` is not floating point.
        ValueError: the shapes differ, or ``p`` is outside [0, 1], or requires a gradient.

    Source: Krueger et al. (2017), "Zoneout: regularizing RNNs by randomly preserving hidden activations".
    """
    check_input(new)
    if new.shape != old.shape:
        raise ValueError(f"new and old state have one shape, but got {tuple(new.shape)} and {tuple(old.shape)}")
    key = as_given(key, new)
    if is_known_zero(p, as_number(p)):
        return new
    return torch.where(updated(new, new.shape, p, key), new, old)


def updated(like: Tensor, shape: tuple[int, ...], p: float | Tensor, key: Key | None = None) -> Tensor:
    """Return a mask of ``shape``, bool, on the device of ``like``: False with probability ``p``."""
    return dropout(like.new_ones(shape), p, key=key) != 0
