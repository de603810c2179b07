"""What the layers that carry a torch name add: torch's signature, ``(p, inplace)``, and torch's ``repr``."""

from __future__ import annotations

from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["DropIn"]


class DropIn(NoiseLayer):
    """A layer that stands in for one of torch's, of which it is an instance too.

    Args:
        p: drop probability in [0, 1], schedule or rate.
        inplace: write the result into the input.
    """

    def __init__(self, p: float | Schedule | Rate = 0.5, inplace: bool = False) -> None:
        super().__init__(p)
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Show the settings as torch does, then where p comes from unless it is simply set."""
        p, *source = super().extra_repr().split(", ", 1)
        return ", ".join([p, f"inplace={self.inplace}", *source])
