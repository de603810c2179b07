"""`ConcreteDropout` and its channel-wise forms: a soft mask whose p is learned by gradient."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.modules.concrete_layer import ConcreteLayer
from adaptive_dropout.modules.penalised import Penalised
from adaptive_dropout.rates import LearnedRate, Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["ConcreteDropout", "ConcreteDropout1d", "ConcreteDropout2d", "ConcreteDropout3d"]


class ConcreteDropout(NoiseLayer):
    """Multiply by a soft mask that tends to 0 with probability p in training; p is learned. Any shape.

    A float starts a `LearnedRate` there; a schedule or another rate gives the same noise with that p. The loss of the
    data alone drives p to 0: the paper adds a penalty on the weights and on the entropy of the mask, which `wrap` ties
    to the layer that the dropout is for.

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
        """Return ``layer`` with concrete dropout of its input, of features or of whole channels as it takes them.

        The result has the divergence that `penalty` adds to the loss. Its input has a batch dimension.

        >>> layer = ConcreteDropout.wrap(nn.Conv2d(3, 8, kernel_size=3), length_scale=1e-2)
        >>> round(layer.p, 6), round(layer.kl().item(), 1)
        (0.1, -1.0)

        Args:
            layer: `torch.nn.Linear`, `Conv1d`, `Conv2d` or `Conv3d`; kept, not copied.
            p: where the learned p starts, strictly between 0 and 1; or a schedule or rate, which wraps may share.
            length_scale: l > 0, of the prior of weights and biases; 1e-4 as published for the toy problem.
            temperature: T > 0; by default 0.1 for features and 2/3 for channels, as published.

        Raises:
            TypeError: ``layer`` is none of these, or has learned noise of its own.
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


FORMS: dict[type[nn.Module], type[ConcreteDropout]] = {
    nn.Linear: ConcreteDropout,
    nn.Conv1d: ConcreteDropout1d,
    nn.Conv2d: ConcreteDropout2d,
    nn.Conv3d: ConcreteDropout3d,
}
