"""`WordDropout`: drops whole words of a text, so that its meaning has to be read from the others."""

from __future__ import annotations

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import NoiseLayer

__all__ = ["WordDropout"]


class WordDropout(NoiseLayer):
    """Zero the embeddings of whole words with probability p in training, multiply the others by 1 / (1 - p).

    Put it after the embedding: input (..., words, channels). No gradient reaches p.

    >>> WordDropout(0.3)
    WordDropout(p=0.3)

    Source: Iyyer et al. (2015), section 3.1, with the mean of `functional.word_dropout`.
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.word_dropout` of ``x``."""
        return F.word_dropout(x, p)
