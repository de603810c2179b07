"""Dropout of the smallest weights or units alone, so that a network learns to do without them."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_dropout.functional.bernoulli import dropout
from adaptive_dropout.functional.inputs import as_number, as_p, check_input, is_known_zero
from adaptive_dropout.noise.settings import Key, work_dtype

__all__ = ["smallest_units", "smallest_weights", "targeted_dropout", "targeted_unit_dropout"]


def targeted_dropout(weight: Tensor, p: float | Tensor, fraction: float | Tensor, key: Key | None = None) -> Tensor:
    """Zero each of the smallest weights of a unit with probability ``p``; the others stay, and nothing is rescaled.

    A fraction of p ``fraction`` of all weights is lost in the mean. At p = 0 or fraction = 0 it is the identity; at
    p = 1 it is pruning. A lost weight gets no gradient, and neither do ``p`` and ``fraction``.

    Args:
        weight: (units, ...), floating point; each unit has its own ranking, by size.
        p: in [0, 1].
        fraction: which part of a unit's weights may be lost, in [0, 1]; a number or 0-dim. Of n weights they are
            ``fraction`` n, rounded.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``weight`` has fewer than two dimensions, or is not floating point.
        ValueError: ``p`` or ``fraction`` is outside [0, 1], or a tensor that requires a gradient.

    Source: Gomez et al. (2019), "Learning sparse networks using targeted dropout", section 3. It sorts at each call.
    """
    if _is_identity(weight, p, fraction):
        return weight
    lost = dropout(torch.ones_like(weight, dtype=work_dtype(weight)), p, key=key) == 0
    return torch.where(lost & smallest_weights(weight, fraction), 0, weight)


def targeted_unit_dropout(
    weight: Tensor, p: float | Tensor, fraction: float | Tensor, key: Key | None = None
) -> Tensor:
    """Zero each of the smallest units with probability ``p``, with all of its weights; otherwise as `targeted_dropout`.

    Units are compared by the Euclidean norm of their weights.
    """
    if _is_identity(weight, p, fraction):
        return weight
    shape = (len(weight), *[1] * (weight.dim() - 1))
    lost = dropout(weight.new_ones(shape, dtype=work_dtype(weight)), p, key=key) == 0
    return torch.where(lost & smallest_units(weight, fraction), 0, weight)


def smallest_weights(weight: Tensor, fraction: float | Tensor) -> Tensor:
    """Return which weights of each unit may be lost; bool, of the shape of ``weight``."""
    return _smallest(weight.detach().abs().flatten(1), fraction).reshape(weight.shape)


def smallest_units(weight: Tensor, fraction: float | Tensor) -> Tensor:
    """Return which units may be lost; bool, (units, 1, ...)."""
    norms = torch.linalg.vector_norm(weight.detach().flatten(1), dim=1, dtype=work_dtype(weight))
    return _smallest(norms[None], fraction).reshape(-1, *[1] * (weight.dim() - 1))


def _smallest(sizes: Tensor, fraction: float | Tensor) -> Tensor:
    """Return which of each row of ``sizes`` are its ``fraction`` smallest; of equal ones those that come first."""
    count = (as_p(fraction, sizes) * sizes.shape[1]).round()
    order = sizes.argsort(dim=1, stable=True)
    counted = torch.arange(sizes.shape[1], device=sizes.device).expand_as(order) < count
    return torch.zeros_like(order, dtype=torch.bool).scatter(1, order, counted)


def _is_identity(weight: Tensor, p: float | Tensor, fraction: float | Tensor) -> bool:
    check_input(weight)
    if weight.dim() < 2:
        raise RuntimeError(f"targeted dropout takes weights (units, ...), but got shape {tuple(weight.shape)}")
    if isinstance(fraction, Tensor) and fraction.requires_grad:
        raise ValueError("which weights are targeted passes no gradient to their fraction; set or schedule it")
    return any(is_known_zero(number, as_number(number)) for number in (p, fraction))
