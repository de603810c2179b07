"""The bases of the layers: a rate, noise with a rate, a drop-in for a layer of torch's, and a divergence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.fx import Proxy

from adaptive_dropout.rates import LearnedRate, Rate, ScheduledRate, SettableRate
from adaptive_dropout.schedules import Schedule

__all__ = ["DropIn", "NoiseLayer", "Penalised", "Proxy", "Rated", "rate_of", "record_call"]


class Rated(nn.Module):
    """Holds a rate under the name ``rate``, by which it is found, listed, scheduled and steered.

    `NoiseLayer` is for noise on one tensor. This base is for what drops anything else: edges, nodes, weights.

    Args:
        p: a drop probability in [0, 1], which makes a `SettableRate`; a schedule; or a rate, which several layers may
            share.

    Raises:
        TypeError: ``p`` is none of these, or a `LearnedRate` where the noise passes no gradient.
        ValueError: ``p`` is NaN or outside [0, 1].
    """

    learnable: ClassVar[bool] = False
    """Whether the noise passes a gradient to p."""

    rate: Rate

    def __init__(self, p: float | Schedule | Rate = 0.5) -> None:
        # Not super(): a torch layer that follows in the list of bases would take p for an attribute of its own.
        nn.Module.__init__(self)
        made = p if isinstance(p, (Schedule, Rate)) else self._rate_from(p)
        self.rate = rate_of(made, type(self), self.learnable)

    def _rate_from(self, p: float) -> Rate:
        return SettableRate(p)

    @property
    def p(self) -> float:
        """The drop probability in [0, 1]. Assigning moves a settable rate, and raises for any other."""
        return self.rate.p

    @p.setter
    def p(self, p: float) -> None:
        self.rate.p = p

    def extra_repr(self) -> str:
        """Show p, and its source unless it is simply set."""
        if isinstance(self.rate, SettableRate):
            return f"p={self.p}"
        return f"p={self.p:g}, rate={self.rate!r}"

    def __repr__(self) -> str:
        # One line: the rate is a submodule, and nn.Module would show it as a child.
        return f"{type(self).__name__}({self.extra_repr()})"


class NoiseLayer(Rated, ABC):
    """Adds noise to its input in training mode and returns it untouched in eval mode.

    A new layer is a subclass with two members: ``noise``, a function of (x, p), and ``learnable``, which tells whether
    that function passes a gradient to p. A layer whose noise passes none raises at construction if it is given a
    learned rate.

    Args:
        p: as in `Rated`, as are the errors.
    """

    @abstractmethod
    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return ``x`` with noise as strong as ``p``, a 0-dim float32 tensor on the device of the layer."""

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input`` with noise in training mode, the very same tensor in eval mode."""
        if isinstance(input, Proxy):
            return record_call(self, input)
        if not self.training:
            return input
        rate: Rate = self._modules["rate"]  # type: ignore[assignment]  # self.rate would take a microsecond longer
        return self.noise(input, rate.read())


class DropIn(NoiseLayer):
    """A layer with the name, the arguments and the ``repr`` of one of torch's, of which it is also an instance.

    Args:
        p: drop probability in [0, 1], schedule or rate.
        inplace: write the result into the input.
    """

    def __init__(self, p: float | Schedule | Rate = 0.5, inplace: bool = False) -> None:
        super().__init__(p)
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Show the settings as torch does, then the source of p unless it is simply set."""
        p, *source = super().extra_repr().split(", ", 1)
        return ", ".join([p, f"inplace={self.inplace}", *source])


class Penalised(nn.Module, ABC):
    """Has a divergence between what it learns and a prior, which `adaptive_dropout.penalty` collects.

    Without that term in the loss, its learned rates would follow the data alone.
    """

    @abstractmethod
    def kl(self) -> Tensor:
        """Return the divergence, up to a constant, in nats for the whole training set; 0-dim, with gradient."""


def rate_of(p: float | Schedule | Rate, kind: type, learnable: bool = False) -> Rate:
    """Return the rate that ``p`` means for a layer of the class ``kind``.

    Raises:
        TypeError: ``p`` is none of these, or a `LearnedRate` where the layer is not ``learnable``.
        ValueError: ``p`` is NaN or outside [0, 1].
    """
    rate = ScheduledRate(p) if isinstance(p, Schedule) else p if isinstance(p, Rate) else SettableRate(p)
    if isinstance(rate, LearnedRate) and not learnable:
        raise TypeError(
            f"{kind.__name__} passes no gradient to a learned p, which would stay {rate.p:g} for ever; "
            "use GaussianDropout, ConcreteDropout, or BernoulliDropout with DisARM"
        )
    return rate


def record_call(layer: nn.Module, input: Proxy, *others: Any, **named: Any) -> Any:
    """Record one call of ``layer`` in the graph of `torch.fx`, as for torch's own layers; nothing inside is recorded.

    The graph holds the layer itself, so that it follows its rate and its training mode.

    Returns:
        The stand-in for the layer's output.
    """
    path = input.tracer.path_of_module(layer)  # type: ignore[attr-defined]  # every tracer of modules has it
    return input.tracer.create_proxy("call_module", path, (input, *others), named)
