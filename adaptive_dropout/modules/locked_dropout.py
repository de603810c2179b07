"""`LockedDropout`: one mask for all times of a sequence, so that recurrent layers see the same features dropped."""

from __future__ import annotations

from torch import Tensor, nn

from adaptive_dropout import functional as F
from adaptive_dropout.functional.recurrent import Sequences
from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["LockedDropout"]


class LockedDropout(NoiseLayer):
    """Zero features of whole sequences with probability p in training, multiply the others by 1 / (1 - p).

    Also called variational dropout. Input (time, batch, features), (time, features), or a `PackedSequence`, which keeps
    its sizes and its order. No gradient reaches p.

    A shape does not tell time from batch. `beside` takes the layout from the recurrent layer next to it.

    >>> LockedDropout(0.4, batch_first=True)
    LockedDropout(p=0.4, batch_first=True)
    >>> LockedDropout.beside(nn.LSTM(8, 8), 0.4)
    LockedDropout(p=0.4, batch_first=False)

    Args:
        p: drop probability in [0, 1], schedule or rate.
        batch_first: whether the input is (batch, time, features), as in `torch.nn.LSTM`.

    Raises:
        TypeError: ``batch_first`` is neither True nor False.

    Source: Gal and Ghahramani (2016); Merity, Keskar and Socher (2018), section 4.2.
    """

    def __init__(self, p: float | Schedule | Rate = 0.5, *, batch_first: bool = False) -> None:
        super().__init__(p)
        if not isinstance(batch_first, bool):
            raise TypeError(f"batch_first has to be True or False, but got {batch_first!r}")
        self.batch_first = batch_first

    @classmethod
    def beside(cls, neighbour: nn.Module, p: float | Schedule | Rate = 0.5) -> LockedDropout:
        """Return a layer for the sequences that ``neighbour`` takes or gives, in its layout.

        Args:
            neighbour: has ``batch_first``, as torch's recurrent, attention and transformer layers have.
            p: drop probability in [0, 1], schedule or rate.

        Raises:
            TypeError: ``neighbour`` does not say whether batches come first.
        """
        batch_first = getattr(neighbour, "batch_first", None)
        if not isinstance(batch_first, bool):
            raise TypeError(
                f"{type(neighbour).__name__} does not say whether batches come first, as nn.LSTM does; "
                "give LockedDropout batch_first"
            )
        return cls(p, batch_first=batch_first)

    def noise(self, x: Sequences, p: Tensor) -> Sequences:
        """Return `functional.locked_dropout` of ``x``."""
        return F.locked_dropout(x, p, self.batch_first)

    def extra_repr(self) -> str:
        """Show p, the layout, then the source of p unless it is simply set."""
        p, *source = super().extra_repr().split(", ", 1)
        return ", ".join([p, f"batch_first={self.batch_first}", *source])
