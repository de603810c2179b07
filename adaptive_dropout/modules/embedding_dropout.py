"""`EmbeddingDropout`: an embedding that drops whole words of its vocabulary."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import Proxy, rate_of, record_call
from adaptive_dropout.rates import Rate, SettableRate
from adaptive_dropout.schedules import Schedule

__all__ = ["EmbeddingDropout"]


class EmbeddingDropout(nn.Embedding):
    """Look up embeddings; in training each word of the vocabulary is 0 in the whole batch with probability p.

    The others are multiplied by 1 / (1 - p). `WordDropout` drops places of a text instead, and a word that stands in
    two of them once or twice. The weight is not written, and its key is that of `nn.Embedding`; an output layer that
    shares it has it whole. No gradient reaches p. Input (...), int64; output (..., channels).

    >>> EmbeddingDropout(10_000, 400, p=0.1)
    EmbeddingDropout(10000, 400, p=0.1)

    Args:
        num_embeddings: the size of the vocabulary.
        embedding_dim: the number of channels.
        p: drop probability in [0, 1], schedule or rate.
        **settings: the other settings of `nn.Embedding`, such as ``padding_idx``.

    Raises:
        TypeError: ``p`` is none of these, or a `LearnedRate`.
        ValueError: ``p`` is NaN or outside [0, 1].

    Source: Gal and Ghahramani (2016), section 4.2; Merity, Keskar and Socher (2018), section 4.3.
    """

    rate: Rate

    def __init__(
        self, num_embeddings: int, embedding_dim: int, p: float | Schedule | Rate = 0.1, **settings: Any
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, **settings)
        self.rate = rate_of(p, type(self))

    @property
    def p(self) -> float:
        """The drop probability in [0, 1]. Assigning moves a settable rate, and raises for any other."""
        return self.rate.p

    @p.setter
    def p(self, p: float) -> None:
        self.rate.p = p

    def forward(self, input: Tensor) -> Tensor:
        """Return the embeddings of the tokens ``input``, with dropped words in training mode."""
        if isinstance(input, Proxy):
            return record_call(self, input)
        x = super().forward(input)
        return F.embedding_dropout(x, input, self.num_embeddings, self.rate.read()) if self.training else x

    def extra_repr(self) -> str:
        """Show the sizes and settings as torch does, p, and its source unless it is simply set."""
        source = "" if isinstance(self.rate, SettableRate) else f", rate={self.rate!r}"
        return f"{super().extra_repr()}, p={self.p:g}{source}"

    def __repr__(self) -> str:
        # One line: the rate is a submodule, and nn.Module would show it as a child.
        return f"{type(self).__name__}({self.extra_repr()})"
