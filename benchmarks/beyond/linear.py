"""Linear models with dropout on their features, and the same models with the mean effect of dropout in closed form.

Both penalties have the factor p / (1 - p), the variance of a mask scaled by 1 / (1 - p).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad

__all__ = [
    "DroppedFactors",
    "DroppedLogistic",
    "PenalisedFactors",
    "PenalisedLogistic",
    "feature_penalty",
    "product_penalty",
]


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


def feature_penalty(x: Tensor, weight: Tensor, logits: Tensor, p: Tensor) -> Tensor:
    """Return the mean effect of dropped features on each cross-entropy, to second order in the noise, (batch,).

    It is 1/2 p / (1 - p) sum_j x_j^2 Var_k(w_kj), the variance of the weights of feature j under the predicted
    probabilities of the classes: an L2 penalty that is weak on features that are rare or only seen where the model is
    sure. For two classes that variance is pi (1 - pi) (w_1j - w_0j)^2.

    Args:
        x: (batch, features).
        weight: (classes, features).
        logits: (batch, classes), of the model without noise.
        p: the probability of dropping a feature, in [0, 1), 0-dim.

    Source: the quadratic approximation of Wager, Wang and Liang (2013), "Dropout training as adaptive regularization",
    who write it for two classes; for more it follows from the same expansion, with the Hessian of the softmax.
    """
    classes = logits.softmax(-1)
    variance = classes @ weight.square() - (classes @ weight).square()  # (batch, features)
    return 0.5 * p / (1 - p) * (x.square() * variance).sum(-1)


def product_penalty(left: Tensor, right: Tensor, p: Tensor) -> Tensor:
    """Return the mean effect of dropped factors on the squared error of each entry of a matrix product, (batch,).

    It is p / (1 - p) sum_k u_k^2 v_k^2, exactly. Over all entries of a matrix it sums to the squared norms of the two
    columns of each factor, multiplied.

    Args:
        left: (batch, factors), the rows of one matrix.
        right: (batch, factors), those of the other.
        p: the probability of dropping a factor, in [0, 1), 0-dim.

    Source: Cavazza et al. (2018), "Dropout as a low-rank regularizer for matrix factorization", for whole matrices.
    """
    return p / (1 - p) * (left * right).square().sum(-1)
