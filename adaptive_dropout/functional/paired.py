"""A mask drawn from uniform numbers u, and its antithetic twin, drawn from 1 - u of the same key."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from adaptive_dropout.functional.bernoulli import threshold
from adaptive_dropout.functional.strength import as_p, check_input, known_zero
from adaptive_dropout.noise.gate import gate
from adaptive_dropout.noise.mask import mask
from adaptive_dropout.noise.philox import LEVELS, draw_key

__all__ = ["Pair", "bernoulli_dropout", "draw_pair"]


def bernoulli_dropout(x: Tensor, p: float | Tensor) -> Tensor:
    """Zero each element of ``x`` with probability ``p`` and multiply the others by a ``1 / (1 - p)`` with a gradient.

    The values are those of `dropout`. The gradient of ``p`` is that of the scale, at a mask held fixed: only the sum
    with the gradient of the mask's distribution, from `adaptive_dropout.DisARM` or `ARM`, is that of the mean loss.

    Args:
        x: any shape, floating point.
        p: in [0, 1]; a tensor that broadcasts to ``x`` gives each element its own. It is checked on a CPU only, because
            that would wait for another device.

    Raises:
        RuntimeError: ``x`` is not floating point.
        ValueError: ``p`` is outside [0, 1].

    Source: Srivastava et al. (2014), section 4, in the inverted form that leaves evaluation alone.
    """
    check_input(x)
    if known_zero(p):
        return x
    p = as_p(p, x)
    pair = draw_pair(x, p)
    zero = p - p.detach()  # with the gradient of p
    return (mask(x, pair.levels(pair.lost), pair.key) / (pair.q - zero)).to(x.dtype)


class Pair(NamedTuple):
    """What a mask and its twin are drawn from; both are functions of the same numbers.

    Args:
        like: of the mask's shape, on its device.
        lost: of 65536 equally likely numbers of 16 bits, how many are dropped; broadcasts over the mask.
        q: the probability to keep, never 0: nothing divides by 0 at p = 1.
        key: what the numbers are a function of.
    """

    like: Tensor
    lost: Tensor
    q: Tensor
    key: Tensor

    def kept(self) -> Tensor:
        """Return 1 where u >= p, else 0; of q's dtype, as all that is returned here."""
        return mask(self._ones(), self.levels(self.lost), self.key)

    def twin(self) -> Tensor:
        """Return 1 where 1 - u >= p, else 0."""
        return 1 - mask(self._ones(), self.levels(LEVELS - self.lost), self.key)

    def uniform(self) -> Tensor:
        """Return u, in the middle of its 2^-16."""
        one = torch.ones((), dtype=self.q.dtype, device=self.q.device)
        return 1 - gate(self._ones(), one, one, 1.0, self.key)

    def levels(self, lost: Tensor) -> Tensor:
        """Return what `noise.mask.mask` takes to drop as many, without a scale."""
        return torch.stack((lost, torch.ones_like(lost)))

    def _ones(self) -> Tensor:
        return torch.ones_like(self.like, dtype=self.q.dtype)


def draw_pair(x: Tensor, p: float | Tensor) -> Pair:
    """Return the pair for a mask on ``x``, drawing one key as `bernoulli_dropout` does."""
    lost, q = threshold(x, p.detach() if isinstance(p, Tensor) else p)
    return Pair(x.detach(), lost, q, draw_key(x))
