"""`ShakeDrop`: a residual branch that enters training with a random share, and evaluation with its mean."""

from __future__ import annotations

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.functional.inputs import as_number, is_known_zero
from adaptive_dropout.modules.base import Proxy, Rated, record_call
from adaptive_dropout.noise.settings import work_dtype
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["ShakeDrop"]


class ShakeDrop(Rated):
    """Multiply an example by a number from -1 to 1 with probability p in training, and all by 1 - p in eval mode.

    Put it at the end of a residual branch, before the addition and behind a normalisation: without one training is not
    stable. The published rates rise over depth from near 0 to .5 at the last block. Input (batch, ...).

    The backward pass draws numbers of its own, so the gradient is not the slope of the loss. Steer the rate by losses
    (`RestartController`, `GapController`, ...): a hypergradient or a response measured through it would mean nothing,
    and raises. No gradient reaches p.

    >>> blocks = [ShakeDrop(0.5 * (number + 1) / 3) for number in range(3)]
    >>> blocks[-1]
    ShakeDrop(p=0.5)

    Args:
        p: the probability in [0, 1] that an example is shaken, schedule or rate. At 1 the branch is nothing but noise,
            and 0 in eval mode.

    Source: Yamada et al. (2019); maths and errors in `functional.shake_drop`.
    """

    def __init__(self, p: float | Schedule | Rate = 0.5) -> None:
        super().__init__(p)

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input`` with noise in training mode, and times 1 - p in eval mode."""
        if isinstance(input, Proxy):
            recorded: Tensor = record_call(self, input)
            return recorded
        p = self.rate.read()
        if self.training:
            return F.shake_drop(input, p)
        return input if is_known_zero(p, as_number(p)) else (input * (1 - p.to(work_dtype(input)))).to(input.dtype)
