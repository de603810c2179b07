"""What a model can do without: `sparsity` reports it, `prune` leaves ordinary layers with zeros.

Two things know it: sparse layers, by the noise that each weight has learned to bear, and `TargetedDropout`, by size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn

from adaptive_dropout.modules import SparseLayer, TargetedDropout

__all__ = ["SparseRow", "Sparsity", "prune", "sparsity"]


class SparseRow(NamedTuple):
    """One sparse layer, or one weight with targeted dropout.

    Args:
        name: in the model; empty for the model itself. A weight that is not called "weight" has its own name behind it.
        kind: the class of the sparse layer, or of the targeted dropout.
        weights: how many it has, without biases.
        kept: how many `prune` leaves other than 0; a sparse layer has as many in eval mode.
        p: the mean drop probability of its weights.
    """

    name: str
    kind: str
    weights: int
    kept: int
    p: float


class Sparsity(tuple[SparseRow, ...]):
    """What is sparse in a model; ``print`` shows them as a table with their sum."""

    __slots__ = ()

    @property
    def weights(self) -> int:
        """How many weights they have together, without biases."""
        return sum(row.weights for row in self)

    @property
    def kept(self) -> int:
        """How many of these weights `prune` leaves other than 0."""
        return sum(row.kept for row in self)

    @property
    def compression(self) -> float:
        """Weights per kept weight, the published measure; infinity where none is kept."""
        return _ratio(self.weights, self.kept)

    def cells(self) -> list[tuple[str, ...]]:
        """Return the rows as text, under a head and above their sum."""
        shown = [
            (name, kind, f"{weights:,}", f"{kept:,}", f"{_ratio(weights, kept):.1f}x", f"{p:.4f}")
            for name, kind, weights, kept, p in self
        ]
        total = ("all", "", f"{self.weights:,}", f"{self.kept:,}", f"{self.compression:.1f}x", "")
        return [("name", "kind", "weights", "kept", "compression", "p"), *shown, total]

    def __str__(self) -> str:
        cells = self.cells()
        widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def sparsity(model: nn.Module) -> Sparsity:
    """Return a row for each sparse layer of ``model``, and for each weight with targeted dropout.

    Raises:
        ValueError: the model has neither.
    """
    _check_sparse(model)
    rows = []
    for name, layer in model.named_modules():
        if isinstance(layer, SparseLayer):
            kept = int((layer.used_weight() != 0).sum())
            rows.append(SparseRow(name, type(layer).__name__, layer.weight.numel(), kept, layer.p))
        for drop in _targeted(layer):
            rows += _rows(name, layer, drop)
    return Sparsity(rows)


def prune(model: nn.Module) -> nn.Module:
    """Replace the sparse layers of ``model`` by ordinary ones, with zeros for the weights that are dropped.

    In eval mode the model gives what it gave before. Of `TargetedDropout` the targeted weights become 0, in the
    parameters themselves, and the layer is taken out; eval mode gives what it gave before only if the layer ``prunes``.
    Afterwards the ``state_dict`` has the keys of a model without this library. A layer that is used in several places
    stays one layer.

    >>> from adaptive_dropout import SparseLinear
    >>> model = prune(nn.Sequential(SparseLinear(8, 4)))
    >>> model[0]
    Linear(in_features=8, out_features=4, bias=True)

    Returns:
        ``model`` itself, changed in place; if it is a sparse layer, the ordinary one.

    Raises:
        ValueError: the model has neither.
    """
    _check_sparse(model)
    for module in list(model.modules()):
        _zero_targeted(module)
    if isinstance(model, SparseLayer):
        return model.to_dense()
    made: dict[SparseLayer, nn.Module] = {}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, SparseLayer):
                if child not in made:
                    made[child] = child.to_dense()
                setattr(parent, name, made[child])
    return model


def _zero_targeted(module: nn.Module) -> None:
    found = _targeted(module)
    with torch.no_grad():
        for drop in found:
            for name in drop.names:
                weight = module._parameters[name]
                assert weight is not None
                weight.masked_fill_(drop.targeted(weight), 0)
    if found:
        TargetedDropout.off(module)


def _rows(path: str, module: nn.Module, drop: TargetedDropout) -> Iterator[SparseRow]:
    for name in drop.names:
        weight = module._parameters[name]
        assert weight is not None
        shown = path if name == "weight" else f"{path}.{name}".removeprefix(".")
        kept = int((drop.pruned(weight) != 0).sum())
        yield SparseRow(shown, type(drop).__name__, weight.numel(), kept, drop.p * drop.fraction.p)


def _targeted(module: nn.Module) -> list[TargetedDropout]:
    return [child for child in module.children() if isinstance(child, TargetedDropout) and child.names]


def _check_sparse(model: nn.Module) -> None:
    if not any(isinstance(layer, SparseLayer) or _targeted(layer) for layer in model.modules()):
        raise ValueError(
            f"{type(model).__name__} has no sparse layer and no targeted dropout; make one, as in SparseLinear(784, "
            '300), SparseLinear.from_dense(layer), or TargetedDropout.on(layer, "weight")'
        )


def _ratio(weights: int, kept: int) -> float:
    return weights / kept if kept else float("inf")
