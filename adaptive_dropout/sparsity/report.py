"""`sparsity`: how many weights the sparse layers of a model use, and how many times fewer that is than they have."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from adaptive_dropout.modules import SparseLayer

__all__ = ["SparseRow", "Sparsity", "check_sparse", "sparsity"]


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
        """Return how many weights they have together, without biases."""
        return sum(row.weights for row in self)

    @property
    def kept(self) -> int:
        """Return how many of them are not 0 in eval mode."""
        return sum(row.kept for row in self)

    @property
    def compression(self) -> float:
        """How many times fewer are kept than there are, as published; infinity where none is kept."""
        return _ratio(self.weights, self.kept)

    def cells(self) -> list[tuple[str, ...]]:
        """Return the rows as text, under their heads and above their sum."""
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
        ValueError: there is none.
    """
    check_sparse(model)
    rows = []
    for name, layer in model.named_modules():
        if isinstance(layer, SparseLayer):
            kept = int((layer.used_weight() != 0).sum())
            rows.append(SparseRow(name, type(layer).__name__, layer.weight.numel(), kept, layer.p))
    return Sparsity(rows)


def check_sparse(model: nn.Module) -> None:
    """Raise a ValueError where ``model`` has no sparse layer."""
    if not any(isinstance(layer, SparseLayer) for layer in model.modules()):
        raise ValueError(
            f"{type(model).__name__} has no sparse layer; make one, as in SparseLinear(784, 300), or "
            "SparseLinear.from_dense(layer)"
        )


def _ratio(weights: int, kept: int) -> float:
    return weights / kept if kept else float("inf")
