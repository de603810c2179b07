"""`ConcreteDropout`, a soft mask whose p is learned by gradient, and the layer that knows the weights behind it."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from adaptive_dropout import functional as F
from adaptive_dropout.functional.concrete import concrete_kl
from adaptive_dropout.modules.base import NoiseLayer, Penalised
from adaptive_dropout.rates import LearnedRate, Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["ConcreteDropout", "ConcreteDropout1d", "ConcreteDropout2d", "ConcreteDropout3d", "ConcreteLayer"]

NEAREST = 2.0**-24  # how near to 0 and 1 the p of a rate that is not learned may come


class ConcreteDropout(NoiseLayer):
    """Multiply by a soft mask that tends to 0 with probability p in training; p is learned. Any shape.

    A float makes a `LearnedRate` that starts there; a schedule or another rate gives the same noise with that p. The
    loss of the data alone drives p to 0. The paper adds a penalty on the weights and on the entropy of the mask; `wrap`
    gives it the weights of the layer behind the dropout.

    Args:
        p: where the learned p starts, strictly between 0 and 1; or a schedule or rate.
        temperature: T > 0; the smaller, the closer to a mask of zeros and ones, and the noisier the gradient.

    Raises:
        ValueError: ``temperature`` is not above 0, or ``p`` is a rate with a shape: all units share one p here.

    Source: Gal, Hron and Kendall (2017), equation 5.
    """

    learnable: ClassVar[bool] = True

    def __init__(self, p: float | Schedule | Rate = 0.1, temperature: float = 0.1) -> None:
        super().__init__(p)
        if not temperature > 0:
            raise ValueError(f"temperature has to be above 0, but got {temperature}")
        if self.rate.value.dim():
            raise ValueError(
                f"{type(self).__name__} has one p for all units, but got a rate of shape "
                f"{tuple(self.rate.value.shape)}; use LearnedRate({self.p:g})"
            )
        self.temperature = temperature

    @staticmethod
    def wrap(
        layer: nn.Module, p: float | Schedule | Rate = 0.1, length_scale: float = 1e-4, temperature: float | None = None
    ) -> ConcreteLayer:
        """Return ``layer`` with concrete dropout of its input: of features, or of the channels of a convolution.

        The result has the divergence that `penalty` adds to the loss. Its input needs a batch dimension.

        >>> layer = ConcreteDropout.wrap(nn.Conv2d(3, 8, kernel_size=3), length_scale=1e-2)
        >>> round(layer.p, 6), round(layer.kl().item(), 1)
        (0.1, -1.0)

        Args:
            layer: `torch.nn.Linear`, `Conv1d`, `Conv2d` or `Conv3d`; kept, not copied.
            p: where the learned p starts, strictly between 0 and 1; or a schedule or rate, which layers may share.
            length_scale: l > 0, of the prior of weights and biases; 1e-4 as published for the toy problem.
            temperature: T > 0; by default 0.1 for features and 2/3 for channels, as published.

        Raises:
            TypeError: ``layer`` is none of these, or already has learned noise.
            ValueError: ``length_scale`` or ``temperature`` is not above 0.

        Source: Gal, Hron and Kendall (2017), equations 2 to 5.
        """
        form = next((form for kind, form in FORMS.items() if isinstance(layer, kind)), None)
        if form is None or isinstance(layer, Penalised):
            raise TypeError(
                f"nn.Linear, nn.Conv1d, nn.Conv2d and nn.Conv3d can be wrapped, but got {type(layer).__name__}"
            )
        dropout = form(p) if temperature is None else form(p, temperature)
        return ConcreteLayer(layer, dropout, length_scale)  # type: ignore[arg-type]  # one of the kinds in FORMS

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


class ConcreteLayer(Penalised):
    """Applies ``layer`` to its input, dropped in training, and has its divergence; `ConcreteDropout.wrap` makes it.

    Each wrapped layer draws a mask of its own, and its entropy is counted once, even where several layers share a
    rate. Of inputs (batch, time, features) the features count, not the times.

    Args:
        layer: dense or convolutional, with ``weight`` and ``bias``; kept, not copied.
        dropout: concrete dropout in the form that fits the input of ``layer``.
        length_scale: l > 0, of the prior of weights and biases, l^2 / 2 in front of their squares.

    Raises:
        ValueError: ``length_scale`` is not above 0, or is infinite.
    """

    def __init__(self, layer: nn.Linear | nn.modules.conv._ConvNd, dropout: NoiseLayer, length_scale: float) -> None:
        super().__init__()
        if not 0 < length_scale < math.inf:
            raise ValueError(f"length_scale has to be above 0 and finite, but got {length_scale}")
        self.dropout = dropout
        self.layer = layer
        self.length_scale = length_scale

    @property
    def p(self) -> float:
        """The drop probability in [0, 1]. Assigning moves a settable rate, and raises for any other."""
        return self.dropout.p

    @p.setter
    def p(self, p: float) -> None:
        self.dropout.p = p

    @property
    def units(self) -> int:
        """The number of mask elements drawn for one input: input features, or input channels."""
        return self.layer.in_features if isinstance(self.layer, nn.Linear) else self.layer.in_channels

    def forward(self, input: Tensor) -> Tensor:
        """Return the layer's output for ``input`` with noise in training mode, without it in eval mode."""
        output: Tensor = self.layer(self.dropout(input))
        return output

    def kl(self) -> Tensor:
        """Return `concrete_kl` of the layer's weights and biases, in nats for the whole training set."""
        rate = self.dropout.rate
        logit = rate.logit if isinstance(rate, LearnedRate) else torch.logit(rate.value, eps=NEAREST)
        parts = [part for part in (self.layer.weight, self.layer.bias) if part is not None]
        return concrete_kl(parts, logit, self.units, self.length_scale)

    def extra_repr(self) -> str:
        """Show the length scale."""
        return f"length_scale={self.length_scale:g}"


FORMS: dict[type[nn.Module], type[ConcreteDropout]] = {
    nn.Linear: ConcreteDropout,
    nn.Conv1d: ConcreteDropout1d,
    nn.Conv2d: ConcreteDropout2d,
    nn.Conv3d: ConcreteDropout3d,
}
