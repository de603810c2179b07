"""`EmbeddingDropout`: an embedding that drops whole words of its vocabulary."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import Proxy, Rated, rate_of, record_call
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["EmbeddingDropout"]


class EmbeddingDropout(Rated, nn.Embedding):
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

    def __init__(
        self, num_embeddings: int, embedding_dim: int, p: float | Schedule | Rate = 0.1, **settings: Any
    ) -> None:
        nn.Embedding.__init__(self, num_embeddings, embedding_dim, **settings)
        self.rate = rate_of(p, type(self))

    def forward(self, input: Tensor) -> Tensor:
        """Return the embeddings of the tokens ``input``, with dropped words in training mode."""
        if isinstance(input, Proxy):
            return record_call(self, input)
        x = nn.Embedding.forward(self, input)
        return self.noise(x, input, self.rate.read()) if self.training else x

    def noise(self, x: Tensor, tokens: Tensor, p: Tensor) -> Tensor:
        """Return `functional.embedding_dropout` of ``x``, the embeddings of ``tokens``."""
        return F.embedding_dropout(x, tokens, self.num_embeddings, p)

    def extra_repr(self) -> str:
        """Show the sizes and settings as torch does, p, and its source unless it is simply set."""
        return f"{nn.Embedding.extra_repr(self)}, {super().extra_repr()}"
