"""`Zoneout`: units of a recurrent state keep their previous value with probability p."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.functional.inputs import as_number, is_known_zero
from adaptive_dropout.functional.zoneout import updated
from adaptive_dropout.modules.base import Proxy, Rated, record_call
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["Zoneout", "mix"]


class Zoneout(Rated):
    """Keep each unit of the old state with probability p in training; in eval mode return the mean of old and new.

    Call it with the new and the old state at each step of a recurrent network of your own. `ZoneoutLSTM` and
    `ZoneoutGRU` have it inside. Nothing is rescaled: in eval mode a unit is p old + (1 - p) new. No gradient reaches p.

    >>> cell, zoneout = torch.nn.GRUCell(3, 5), Zoneout(0.1)
    >>> state = torch.zeros(2, 5)
    >>> for x in torch.ones(4, 2, 3):
    ...     state = zoneout(cell(x, state), state)

    Args:
        p: the probability of keeping the *old* value, in [0, 1], schedule or rate. At 1 the state never moves. Beware
            of code that gives the probability of the *new* value by this name.

    Source: Krueger et al. (2017).
    """

    def __init__(self, p: float | Schedule | Rate = 0.1) -> None:
        super().__init__(p)

    def forward(self, new: Tensor, old: Tensor) -> Tensor:
        """Return the state: old or new for each unit in training, their mean in eval mode."""
        if isinstance(new, Proxy):
            return record_call(self, new, old)
        if self.training:
            return F.zoneout(new, old, self.rate.read())
        return mix(new, old, self.share_in_eval(new))

    def is_idle(self) -> bool:
        """Return whether p is known to be 0, without waiting for a device: the new state is then taken as it is."""
        p = self.rate.read()
        return is_known_zero(p, as_number(p))

    def draw(self, like: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return a mask of ``shape``, bool, on the device of ``like``: True where the new value is to be taken."""
        return updated(like, shape, self.rate.read())

    def share_in_eval(self, like: Tensor) -> Tensor:
        """Return the share of the new value in eval mode, 1 - p; 0-dim, in the dtype of ``like``."""
        return (1 - self.rate.read()).to(like.dtype)


def mix(new: Tensor, old: Tensor, share: Tensor | None) -> Tensor:
    """Return the state of which ``new`` has the given share: all of it if None, a mask, or a number from 0 to 1."""
    if share is None:
        return new
    if share.dtype == torch.bool:
        return torch.where(share, new, old)
    return torch.lerp(old.to(new.dtype), new, share.to(new.dtype))
