"""Linear models with dropout on their features, and the same models with what dropout comes to on average."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from benchmarks.beyond.penalties import feature_penalty, product_penalty

__all__ = ["DroppedFactors", "DroppedLogistic", "PenalisedFactors", "PenalisedLogistic"]


class Logistic(nn.Module):
    """Logistic regression: from x, (batch, features), and y, (batch,), to the cross-entropy of each example.

    The weights start at 0.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)


class DroppedLogistic(Logistic):
    """Drops each feature of each example with probability p."""

    def __init__(self, features: int, classes: int, p: float) -> None:
        super().__init__(features, classes)
        self.dropout = ad.Dropout(p)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each example, (batch,)."""
        return F.cross_entropy(self.linear(self.dropout(x)), y, reduction="none")


class PenalisedLogistic(Logistic):
    """Adds `feature_penalty` in training mode; nothing is random."""

    def __init__(self, features: int, classes: int, p: float) -> None:
        super().__init__(features, classes)
        self.rate = ad.SettableRate(p)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each example, (batch,)."""
        logits = self.linear(x)
        losses = F.cross_entropy(logits, y, reduction="none")
        if not self.training:
            return losses
        return losses + feature_penalty(x, self.linear.weight, logits, self.rate.value)


class Factors(nn.Module):
    """A matrix as a product of two: from row, column and value, all (batch,), to the squared error of each entry."""

    def __init__(self, rows: int, columns: int, factors: int) -> None:
        super().__init__()
        self.left, self.right = (nn.Parameter(0.3 * torch.randn(n, factors)) for n in (rows, columns))


class DroppedFactors(Factors):
    """Drops each factor of each entry with probability p."""

    def __init__(self, rows: int, columns: int, factors: int, p: float) -> None:
        super().__init__(rows, columns, factors)
        self.dropout = ad.Dropout(p)

    def forward(self, row: Tensor, column: Tensor, value: Tensor) -> Tensor:
        """Return the loss of each entry, (batch,)."""
        products: Tensor = self.dropout(self.left[row] * self.right[column])
        return (products.sum(-1) - value).square()


class PenalisedFactors(Factors):
    """Adds `product_penalty` in training mode; nothing is random."""

    def __init__(self, rows: int, columns: int, factors: int, p: float) -> None:
        super().__init__(rows, columns, factors)
        self.rate = ad.SettableRate(p)

    def forward(self, row: Tensor, column: Tensor, value: Tensor) -> Tensor:
        """Return the loss of each entry, (batch,)."""
        left, right = self.left[row], self.right[column]
        errors = ((left * right).sum(-1) - value).square()
        return errors + product_penalty(left, right, self.rate.value) if self.training else errors
