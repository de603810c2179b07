"""`ConcreteDropout` and its channel-wise forms: a soft mask whose p is learned by gradient."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.rates import LearnedRate, Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["ConcreteDropout", "ConcreteDropout1d", "ConcreteDropout2d", "ConcreteDropout3d"]


class ConcreteDropout(NoiseLayer):
    """Multiply by a soft mask that tends to 0 with probability p in training; p is learned. Any shape.

    A float starts a `LearnedRate` there; a schedule or another rate gives the same noise with that p. The loss of the
    data alone drives p to 0: the paper adds a penalty on the weights and on the entropy of the mask.

    Args:
        p: where the learned p starts, strictly between 0 and 1; or a schedule or rate.
        temperature: T > 0; the smaller, the closer to a mask of zeros and ones, and the noisier the gradient.

    Raises:
        ValueError: ``temperature`` is not above 0.

    Source: Gal, Hron and Kendall (2017), equation 5.
    """

    learnable: ClassVar[bool] = True

    def __init__(self, p: float | Schedule | Rate = 0.1, temperature: float = 0.1) -> None:
        super().__init__(p)
        if not temperature > 0:
            raise ValueError(f"temperature has to be above 0, but got {temperature}")
        self.temperature = temperature

    def _rate_from(self, p: float) -> Rate:
        return LearnedRate(p)

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.concrete_dropout` of ``x``."""
        return F.concrete_dropout(x, p, self.temperature)

    def extra_repr(self) -> str:
        """Show p, its source and the temperature."""
        return f"{super().extra_repr()}, temperature={self.temperature:g}"


class ConcreteDropout1d(ConcreteDropout):
    """`ConcreteDropout` of whole channels of (batch, channels, length) or (channels, length), T = 2/3 as published."""

    def __init__(self, p: float | Schedule | Rate = 0.1, temperature: float = 2 / 3) -> None:
        super().__init__(p, temperature)

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.concrete_dropout1d` of ``x``."""
        return F.concrete_dropout1d(x, p, self.temperature)


class ConcreteDropout2d(ConcreteDropout):
    """`ConcreteDropout` of whole channels of (batch, channels, height, width), T = 2/3 as published."""

    def __init__(self, p: float | Schedule | Rate = 0.1, temperature: float = 2 / 3) -> None:
        super().__init__(p, temperature)

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.concrete_dropout2d` of ``x``."""
        return F.concrete_dropout2d(x, p, self.temperature)


class ConcreteDropout3d(ConcreteDropout):
    """`ConcreteDropout` of whole channels of (batch, channels, d, h, w) or (channels, d, h, w), T = 2/3."""

    def __init__(self, p: float | Schedule | Rate = 0.1, temperature: float = 2 / 3) -> None:
        super().__init__(p, temperature)

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.concrete_dropout3d` of ``x``."""
        return F.concrete_dropout3d(x, p, self.temperature)
