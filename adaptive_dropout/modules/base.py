"""What every dropout layer is: noise in training mode, the identity in eval mode, and a rate of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from adaptive_dropout.modules.leaf import Proxy, recorded
from adaptive_dropout.rates import LearnedRate, Rate, ScheduledRate, SettableRate
from adaptive_dropout.schedules import Schedule

__all__ = ["NoiseLayer"]


class NoiseLayer(nn.Module, ABC):
    """Adds noise to its input in training mode and returns it untouched in eval mode.

    A new layer is a subclass with two things: ``noise``, a function of (x, p), and ``learnable``, whether that function
    passes a gradient to p. A layer given a learned rate that it could never teach raises at construction.

    Args:
        p: a drop probability in [0, 1], which makes a `SettableRate`; a schedule; or a rate, which several layers may
            share.

    Raises:
        TypeError: ``p`` is none of these, or a `LearnedRate` where the noise passes no gradient.
        ValueError: ``p`` is NaN or outside [0, 1].
    """

    learnable: ClassVar[bool] = False
    """Whether `noise` passes a gradient to p."""

    rate: Rate

    def __init__(self, p: float | Schedule | Rate = 0.5) -> None:
        # Not super(): a torch layer that stands behind this class would take p for an attribute of its own.
        nn.Module.__init__(self)
        if isinstance(p, Schedule):
            p = ScheduledRate(p)
        rate = p if isinstance(p, Rate) else self._rate_from(p)
        if isinstance(rate, LearnedRate) and not self.learnable:
            raise TypeError(
                f"{type(self).__name__} passes no gradient to a learned p, which would stay {rate.p:g} for ever; "
                "use GaussianDropout, ConcreteDropout, or BernoulliDropout with DisARM"
            )
        self.rate = rate

    def _rate_from(self, p: float) -> Rate:
        return SettableRate(p)

    @property
    def p(self) -> float:
        """The drop probability in [0, 1]. Assigning moves a settable rate, and raises for any other."""
        return self.rate.p

    @p.setter
    def p(self, p: float) -> None:
        self.rate.p = p

    @abstractmethod
    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return ``x`` with noise of strength ``p``, a 0-dim float32 tensor on the device of the layer."""

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input`` with noise in training mode, the very same tensor in eval mode."""
        if isinstance(input, Proxy):
            return recorded(self, input)
        return self.noise(input, self.rate.value) if self.training else input

    def extra_repr(self) -> str:
        """Show p, and where it comes from unless it is simply set."""
        if isinstance(self.rate, SettableRate):
            return f"p={self.p}"
        return f"p={self.p:g}, rate={self.rate!r}"

    def __repr__(self) -> str:
        # One line: the rate is a submodule, and nn.Module would show it as a child.
        return f"{type(self).__name__}({self.extra_repr()})"
