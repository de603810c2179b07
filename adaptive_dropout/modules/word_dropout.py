"""`WordDropout`: drops whole words of a text, so that its meaning has to be read from the others."""

from __future__ import annotations

from typing import overload

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["WordDropout"]


class WordDropout(NoiseLayer):
    """Zero the embeddings of whole words with probability p in training, multiply the others by 1 / (1 - p).

    Put it after the embedding: input (..., words, channels). No gradient reaches p.

    With ``remove=True`` the words are taken out of the text and nothing is scaled, so that attention after it costs
    less: input (batch, words, channels), with positions already added. If texts are padded, call it with their mask
    too, ``x, real = drop(x, real)``: boolean, (batch, words), True at words.

    >>> WordDropout(0.3)
    WordDropout(p=0.3)

    Args:
        p: drop probability in [0, 1], schedule or rate.
        remove: take words out, as `functional.remove_words` does, instead of zeroing them.

    Source: Iyyer et al. (2015), section 3.1, with the mean of `functional.word_dropout`.
    """

    def __init__(self, p: float | Schedule | Rate = 0.5, remove: bool = False) -> None:
        super().__init__(p)
        self.remove = remove

    @overload
    def forward(self, input: Tensor) -> Tensor: ...

    @overload
    def forward(self, input: Tensor, real: Tensor) -> tuple[Tensor, Tensor]: ...

    def forward(self, input: Tensor, real: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Return ``input`` with noise in training mode, the very same tensor in eval mode; with ``real`` if given."""
        if real is None:
            return super().forward(input)
        if not (self.training and self.remove):
            return super().forward(input), real
        x, left = F.remove_words(input, self.p, real)
        assert left is not None
        return x, left

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.word_dropout` of ``x``, or `functional.remove_words`."""
        return F.remove_words(x, self.p)[0] if self.remove else F.word_dropout(x, p)

    def extra_repr(self) -> str:
        """Show p, whether words are removed, then the source of p unless it is simply set."""
        p, *source = super().extra_repr().split(", ", 1)
        return ", ".join([p, *(["remove=True"] if self.remove else []), *source])
