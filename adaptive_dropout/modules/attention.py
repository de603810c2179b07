"""`DropKey` and `DropHead`: noise inside attention, on the keys that a query sees and on whole heads."""

from __future__ import annotations

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["DropHead", "DropKey"]


class DropKey(NoiseLayer):
    """Hide keys from queries with probability p in training: set scores to -inf before the softmax, scale nothing.

    Input (..., queries, keys): the scores, with masked keys already at -inf; or the mask that is added to them, with
    which any fused attention drops keys. A query never loses all of its keys, so at p = 1 it sees one, drawn at random.
    No gradient reaches p.

    >>> DropKey(0.1)
    DropKey(p=0.1)

    Args:
        p: drop probability in [0, 1], schedule or rate.
        columns: drop a key for all queries of a head, instead of for each query by itself.

    Source: Li et al. (2023), "DropKey for vision transformer"; they lower p from layer to layer. Maths in
    `functional.drop_key`.
    """

    def __init__(self, p: float | Schedule | Rate = 0.1, columns: bool = False) -> None:
        super().__init__(p)
        self.columns = columns

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.drop_key` of ``x``."""
        return F.drop_key(x, p, (*x.shape[:-2], 1, *x.shape[-1:]) if self.columns else None)

    def extra_repr(self) -> str:
        """Show p, whether whole columns drop, then the source of p unless it is simply set."""
        p, *source = super().extra_repr().split(", ", 1)
        return ", ".join([p, *(["columns=True"] if self.columns else []), *source])


class DropHead(NoiseLayer):
    """Zero whole heads of an example with probability p in training, multiply the others by heads / heads kept.

    Put it between attention and the output layer that mixes the heads: input (batch, heads, time, channels). The mean
    is the input for every p. One head always stays, so a rate near 1 trains single heads. No gradient reaches p.

    >>> DropHead(0.2)
    DropHead(p=0.2)

    Args:
        p: drop probability in [0, 1], schedule or rate.
        dim: the dimension of the heads; 2 for (batch, time, heads, channels).

    Source: Zhou et al. (2020), "Scheduled DropHead"; maths in `functional.drop_head`.
    """

    def __init__(self, p: float | Schedule | Rate = 0.1, dim: int = 1) -> None:
        super().__init__(p)
        self.dim = dim

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.drop_head` of ``x``."""
        return F.drop_head(x, p, self.dim)

    def extra_repr(self) -> str:
        """Show p, the dimension of the heads if it is another than 1, then the source of p unless it is simply set."""
        p, *source = super().extra_repr().split(", ", 1)
        return ", ".join([p, *([f"dim={self.dim}"] if self.dim != 1 else []), *source])
