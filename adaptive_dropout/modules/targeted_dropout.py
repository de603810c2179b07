"""`TargetedDropout` and `TargetedUnitDropout`: drop what will be pruned, until the network no longer needs it."""

from __future__ import annotations

from torch import Tensor, nn

from adaptive_dropout import functional as F
from adaptive_dropout.checks import check_p
from adaptive_dropout.functional.targeted import smallest_units, smallest_weights
from adaptive_dropout.modules.base import Proxy, rate_of
from adaptive_dropout.modules.weight_drop import WeightDrop, find_parameters
from adaptive_dropout.rates import FixedRate, Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["TargetedDropout", "TargetedUnitDropout"]


class TargetedDropout(WeightDrop):
    """Zero the smallest weights of each unit with probability p in training; the others stay; nothing is rescaled.

    `on` puts it into a module, which keeps its class and the keys of its ``state_dict``. Units are the first dimension
    of a weight: the outputs of `nn.Linear` and of convolutions. `sparsity` says what `prune` would leave of a model;
    `prune` zeroes the targeted weights for good and takes the layer out. No gradient reaches p.

    >>> layer = TargetedDropout.on(nn.Linear(784, 300), "weight", p=0.5, fraction=0.75)
    >>> layer.targeted_dropout
    TargetedDropout(p=0.5, fraction=0.75)
    >>> layer.targeted_dropout.fraction.p = 0.9

    Both numbers may follow schedules; published are ramps of both, which reach their end at 40 000 and 20 000 steps.

    Args:
        p: drop probability in [0, 1] of a targeted weight, schedule or rate.
        fraction: which part of a unit's weights is targeted. A number stays, and no controller steers it; a schedule
            moves it; a rate is moved by whoever writes it.

    Source: Gomez et al. (2019); maths and errors in `functional.targeted_dropout`.
    """

    fraction: Rate

    prunes: bool = False
    """Whether eval mode uses the weights as `prune` would leave them. By default it uses all of them."""

    def __init__(self, p: float | Schedule | Rate = 0.5, fraction: float | Schedule | Rate = 0.5) -> None:
        super().__init__(p)
        moved = isinstance(fraction, (Schedule, Rate))
        self.fraction = rate_of(fraction if moved else FixedRate(check_p(fraction, "fraction")), type(self))

    @classmethod
    def on(
        cls,
        module: nn.Module,
        *names: str,
        p: float | Schedule | Rate = 0.5,
        slot: str = "targeted_dropout",
        fraction: float | Schedule | Rate = 0.5,
    ) -> nn.Module:
        """Target parameters of ``module`` in each of its forward passes in training mode; return it.

        Arguments and errors are those of `WeightDrop.on`, and of this class.

        Raises:
            ValueError: a parameter has fewer than two dimensions, as a bias.
        """
        drop = cls(p, fraction)
        for name in find_parameters(module, names):
            shape = tuple(getattr(module, name).shape)
            if len(shape) < 2:
                raise ValueError(f"{cls.__name__} takes weights (units, ...), but {name!r} has shape {shape}")
        super().on(module, *names, p=drop.rate, slot=slot)
        made = module._modules[slot]
        assert isinstance(made, cls)
        made.fraction = drop.fraction
        return module

    @property
    def acts(self) -> bool:
        """Whether the module sees other weights than its parameters now."""
        return self.training or self.prunes

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input`` with targeted weights dropped in training mode; in eval mode the very same, or `pruned`."""
        if self.training or not self.prunes or isinstance(input, Proxy):
            return super().forward(input)
        return self.pruned(input)

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.targeted_dropout` of ``x``."""
        return F.targeted_dropout(x, p, self.fraction.read())

    def targeted(self, weight: Tensor) -> Tensor:
        """Return which elements of ``weight`` are targeted; bool."""
        return smallest_weights(weight, self.fraction.read())

    def pruned(self, weight: Tensor) -> Tensor:
        """Return ``weight`` with 0 for what is targeted."""
        return weight.masked_fill(self.targeted(weight), 0)

    def extra_repr(self) -> str:
        """Show p and the fraction, then the source of p unless it is simply set."""
        p, *source = super().extra_repr().split(", ", 1)
        return ", ".join([p, f"fraction={self.fraction.p:g}", *source])


class TargetedUnitDropout(TargetedDropout):
    """Zero the smallest units of a weight with probability p in training, each as a whole; see `TargetedDropout`.

    A bias stays. ``fraction`` is the part of the units that is targeted, by the Euclidean norm of their weights.

    >>> layer = TargetedUnitDropout.on(nn.Conv2d(3, 64, 3), "weight", p=0.5, fraction=0.25)
    >>> int(layer.targeted_dropout.targeted(layer.weight).sum())
    16

    Source: Gomez et al. (2019); maths and errors in `functional.targeted_unit_dropout`.
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.targeted_unit_dropout` of ``x``."""
        return F.targeted_unit_dropout(x, p, self.fraction.read())

    def targeted(self, weight: Tensor) -> Tensor:
        """Return which units of ``weight`` are targeted; bool, (units, 1, ...)."""
        return smallest_units(weight, self.fraction.read())
