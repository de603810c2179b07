"""A mask drawn from uniform numbers u, and its antithetic mask, drawn from 1 - u with the same key."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from adaptive_dropout.functional.bernoulli import lost_and_kept
from adaptive_dropout.functional.inputs import as_given, as_number, as_p, check_input, is_known_zero
from adaptive_dropout.noise.gate import gate
from adaptive_dropout.noise.keys import draw_key
from adaptive_dropout.noise.mask import mask
from adaptive_dropout.noise.philox import LEVELS
from adaptive_dropout.noise.settings import Key

__all__ = ["AntitheticPair", "bernoulli_dropout", "draw_pair"]


def bernoulli_dropout(x: Tensor, p: float | Tensor, key: Key | None = None) -> Tensor:
    """Zero each element of ``x`` with probability ``p`` and multiply the others by a ``1 / (1 - p)`` with a gradient.

    The values are those of `dropout`. The gradient of ``p`` is that of the scale, with the mask held fixed. It becomes
    the gradient of the mean loss only with the part that comes from the mask's distribution, which
    `adaptive_dropout.DisARM` or `ARM` adds.

    Args:
        x: any shape, floating point.
        p: in [0, 1]; a tensor that broadcasts to ``x`` gives each element its own. Its values are checked on a CPU
            only, because reading them would wait for another device.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``x`` is not floating point.
        ValueError: ``p`` is outside [0, 1].

    Source: Srivastava et al. (2014), section 4, in the inverted form, which leaves evaluation unchanged.
    """
    check_input(x)
    key = as_given(key, x)
    if is_known_zero(p, as_number(p)):
        return x
    p = as_p(p, x)
    pair = draw_pair(x, p, key)
    zero = p - p.detach()  # 0, with the gradient of p
    return (mask(x, _unscaled(pair.lost), pair.key) / (pair.q - zero)).to(x.dtype)


class AntitheticPair(NamedTuple):
    """What a mask and its antithetic mask are drawn from; both are functions of the same numbers.

    Args:
        like: a tensor with the shape and device of the mask.
        lost: how many of the 65536 equally likely 16-bit numbers are dropped; broadcasts over the mask.
        q: the probability to keep, never 0, so that a division by it is safe at p = 1.
        key: the key of the numbers.
    """

    like: Tensor
    lost: Tensor
    q: Tensor
    key: Key

    def kept(self) -> Tensor:
        """Return 1 where u >= p, else 0; in the dtype of q, as for all that is returned here."""
        return mask(self._ones(), _unscaled(self.lost), self.key)

    def antithetic(self) -> Tensor:
        """Return 1 where 1 - u >= p, else 0."""
        return 1 - mask(self._ones(), _unscaled(LEVELS - self.lost), self.key)

    def uniform(self) -> Tensor:
        """Return u, in the middle of its interval of 2^-16."""
        one = torch.ones((), dtype=self.q.dtype, device=self.q.device)
        return 1 - gate(self._ones(), one, one, 1.0, self.key)

    def _ones(self) -> Tensor:
        return torch.ones_like(self.like, dtype=self.q.dtype)


def draw_pair(x: Tensor, p: float | Tensor, key: Key | None = None) -> AntitheticPair:
    """Draw one key unless it is given, as `bernoulli_dropout` does, and return the pair for a mask on ``x``."""
    lost, q = lost_and_kept(x, p.detach() if isinstance(p, Tensor) else p)
    return AntitheticPair(x.detach(), lost, q, draw_key(x) if key is None else key)


def _unscaled(lost: Tensor) -> Tensor:
    """Return the settings with which `noise.mask.mask` drops ``lost`` of 65536 numbers and does not scale."""
    return torch.stack((lost, torch.ones_like(lost)))
