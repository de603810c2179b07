"""The layers that are measured, with an input that each takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

import adaptive_dropout as ad

__all__ = ["LAYERS", "TIMED", "Added", "AddedByTorch", "Layer"]

P = 0.3


@dataclass(frozen=True)
class Layer:
    """A layer and its input.

    Args:
        new: makes the layer.
        shape: of the input.
        dims: over how many leading dimensions of the input a factor is drawn for each element; 0 if it is more
            complicated.
        drops: whether the factor is a mask of two values.
    """

    new: Callable[[], nn.Module]
    shape: tuple[int, ...]
    dims: int = 0
    drops: bool = True


class Added(nn.Module):
    """`dropout_add` of an input and itself."""

    def __init__(self, p: float = P) -> None:
        super().__init__()
        self.rate = ad.SettableRate(p)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` plus its noisy form."""
        return ad.functional.dropout_add(x, x.detach(), self.rate.value)


class AddedByTorch(nn.Module):
    """The same with `torch.nn.Dropout` and an addition."""

    def __init__(self, p: float = P) -> None:
        super().__init__()
        self.dropout = nn.Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` plus its noisy form."""
        y: Tensor = x.detach() + self.dropout(x)
        return y


class Rectified(nn.Module):
    """`bias_relu_dropout` with a bias that learns."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.rate, self.bias = ad.SettableRate(P), nn.Parameter(Tensor(features).fill_(0.1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the noisy max(``x`` + bias, 0)."""
        return ad.functional.bias_relu_dropout(x, self.bias, self.rate.value)


FLAT, ROWS = (512, 1024), (64, 256, 64)
IMAGES, VOLUMES = (64, 64, 16, 16), (16, 64, 4, 8, 8)

LAYERS = {
    "Dropout": Layer(lambda: ad.Dropout(P), FLAT, 2),
    "Dropout1d": Layer(lambda: ad.Dropout1d(P), ROWS, 2),
    "Dropout2d": Layer(lambda: ad.Dropout2d(P), IMAGES, 2),
    "Dropout3d": Layer(lambda: ad.Dropout3d(P), VOLUMES, 2),
    "AlphaDropout": Layer(lambda: ad.AlphaDropout(P), FLAT, 2),
    "FeatureAlphaDropout": Layer(lambda: ad.FeatureAlphaDropout(P), IMAGES, 2),
    "DropPath": Layer(lambda: ad.DropPath(P), FLAT, 1),
    "GaussianDropout": Layer(lambda: ad.GaussianDropout(P), FLAT, 2, drops=False),
    "GaussianDropout, p learned": Layer(lambda: ad.GaussianDropout(ad.LearnedRate(P)), FLAT, 2, drops=False),
    "ConcreteDropout": Layer(lambda: ad.ConcreteDropout(P), FLAT, 2, drops=False),
    "ConcreteDropout2d": Layer(lambda: ad.ConcreteDropout2d(P), IMAGES, 2, drops=False),
    "BernoulliDropout": Layer(lambda: ad.BernoulliDropout(ad.SettableRate(P)), FLAT, 2),
    "VariationalDropout": Layer(lambda: ad.VariationalDropout(P), FLAT, 2, drops=False),
    "VariationalLinear": Layer(lambda: ad.VariationalLinear(1024, 64, p=P), FLAT),
    "SparseLinear": Layer(lambda: ad.SparseLinear(1024, 64), FLAT),
    "Standout": Layer(lambda: ad.Standout(nn.Linear(1024, 64), nn.ReLU()), FLAT),
    "ContextualDropout": Layer(lambda: ad.ContextualDropout(1024, P), FLAT),
    "WordDropout": Layer(lambda: ad.WordDropout(P), ROWS, 2),
    "PatchDropout": Layer(lambda: ad.PatchDropout(P, patch=4), IMAGES),
    "dropout_add": Layer(Added, FLAT),
    "bias_relu_dropout": Layer(lambda: Rectified(1024), FLAT),
}

TIMED: dict[str, Callable[[], nn.Module]] = {
    "Dropout": lambda: ad.Dropout(P),
    "Dropout2d": lambda: ad.Dropout2d(P),
    "DropPath": lambda: ad.DropPath(P),
    "AlphaDropout": lambda: ad.AlphaDropout(P),
    "GaussianDropout": lambda: ad.GaussianDropout(P),
    "ConcreteDropout": lambda: ad.ConcreteDropout(P),
    "dropout_add": Added,
}
