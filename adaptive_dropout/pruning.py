"""What sparse layers have dropped: `sparsity` reports it for a model, `prune` puts ordinary layers in their place."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from adaptive_dropout.modules import SparseLayer

__all__ = ["SparseRow", "Sparsity", "prune", "sparsity"]


class SparseRow(NamedTuple):
    """One sparse layer.

    Args:
        name: in the model; empty for the model itself.
        kind: its class.
        weights: how many it has, without biases.
        kept: how many are not 0 in eval mode.
        p: the mean drop probability of its weights.
    """

    name: str
    kind: str
    weights: int
    kept: int
    p: float


class Sparsity(tuple[SparseRow, ...]):
    """The sparse layers of a model; ``print`` shows them as a table with their sum."""

    __slots__ = ()

    @property
    def weights(self) -> int:
        """How many weights they have together, without biases."""
        return sum(row.weights for row in self)

    @property
    def kept(self) -> int:
        """How many of these weights are not 0 in eval mode."""
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
    """Return a row for each sparse layer of ``model``.

    Raises:
        ValueError: the model has no sparse layer.
    """
    _check_sparse(model)
    rows = []
    for name, layer in model.named_modules():
        if isinstance(layer, SparseLayer):
            kept = int((layer.used_weight() != 0).sum())
            rows.append(SparseRow(name, type(layer).__name__, layer.weight.numel(), kept, layer.p))
    return Sparsity(rows)


def prune(model: nn.Module) -> nn.Module:
    """Replace the sparse layers of ``model`` by ordinary ones, with zeros for the weights that are dropped.

    In eval mode the model gives what it gave before, and its ``state_dict`` has the keys of a model without this
    library. A layer that is used in several places stays one layer.

    >>> from adaptive_dropout import SparseLinear
    >>> model = prune(nn.Sequential(SparseLinear(8, 4)))
    >>> model[0]
    Linear(in_features=8, out_features=4, bias=True)

    Returns:
        ``model`` itself, changed in place; if it is a sparse layer, the ordinary one.

    Raises:
        ValueError: the model has no sparse layer.
    """
    _check_sparse(model)
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


def _check_sparse(model: nn.Module) -> None:
    if not any(isinstance(layer, SparseLayer) for layer in model.modules()):
        raise ValueError(
            f"{type(model).__name__} has no sparse layer; make one, as in SparseLinear(784, 300), or "
            "SparseLinear.from_dense(layer)"
        )


def _ratio(weights: int, kept: int) -> float:
    return weights / kept if kept else float("inf")
