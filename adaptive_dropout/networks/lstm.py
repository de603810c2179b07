"""`LSTMLanguageModel`: recurrent layers that predict the next token of a text, one stretch after the other.

Its rates are called ``embedding`` (of words), ``input_dropout``, ``layers.0.weight_drop`` (of recurrent weights, of all
layers), ``hidden_dropouts.0``, ... (between layers) and ``output_dropout``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from torch import Tensor, nn

from adaptive_dropout.modules import Dropout, EmbeddingDropout, LockedDropout, WeightDrop
from adaptive_dropout.modules.base import rate_of
from adaptive_dropout.networks.factory import DropoutFactory, check_sizes, new_layer
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["LSTMLanguageModel", "LSTMState"]

LSTMState: TypeAlias = Sequence[tuple[Tensor, Tensor]]
"""The hidden and the cell state of each layer, (1, batch, width) each."""


class LSTMLanguageModel(nn.Module):
    """LSTM layers between word vectors and an output layer: tokens (batch, time) -> logits (batch, time, vocabulary).

    The logits at a time are for the token that follows. A call starts from states of 0; `step` goes on from given ones.
    There is a dropout layer before, between and behind the LSTM layers: `Dropout` in Zaremba et al. (2014),
    `LockedDropout` in Merity et al. (2018), who drop words and recurrent weights as well.

    >>> network = LSTMLanguageModel(
    ...     10_000, 400, hidden=(1150, 1150), dropout=lambda: LockedDropout(0.4, batch_first=True), weight_p=0.5
    ... )
    >>> [layer.hidden_size for layer in network.layers]
    [1150, 1150, 400]

    Args:
        vocabulary: the number of different tokens; a token is int64 in 0 ... ``vocabulary`` - 1.
        channels: the width of the word vectors, and of the last LSTM layer.
        hidden: the widths of the LSTM layers before the last.
        tied: whether the output layer shares the weight of the word vectors.
        dropout: makes one dropout layer per call, without arguments; its input is (batch, time, channels).
        embedding_p: of `EmbeddingDropout`, a drop probability in [0, 1], schedule or rate; None for a plain embedding.
        weight_p: likewise of `WeightDrop` on the recurrent weights, with one rate for all layers; None for none.

    Raises:
        TypeError: ``dropout`` is a layer instead of something that makes layers, or a size is not an integer.
        ValueError: a size is less than 1, or ``dropout`` makes layers for another layout; at a call: the tokens are not
            (batch, time), or a state is not of their batch.

    Source: Zaremba, Sutskever and Vinyals (2014), section 3; Merity, Keskar and Socher (2018), section 4; Press and
    Wolf (2017): the tied embedding.
    """

    def __init__(
        self,
        vocabulary: int,
        channels: int = 200,
        hidden: Sequence[int] = (200,),
        tied: bool = False,
        dropout: DropoutFactory = Dropout,
        embedding_p: float | Schedule | Rate | None = None,
        weight_p: float | Schedule | Rate | None = None,
    ) -> None:
        super().__init__()
        check_sizes(vocabulary=[vocabulary], channels=[channels], hidden=[1, *hidden])
        self.embedding: nn.Embedding = (
            nn.Embedding(vocabulary, channels)
            if embedding_p is None
            else EmbeddingDropout(vocabulary, channels, embedding_p)
        )
        self.input_dropout = _new_layer(dropout)
        widths = [channels, *hidden, channels]
        self.layers = nn.ModuleList(nn.LSTM(before, after, batch_first=True) for before, after in pairwise(widths))
        if weight_p is not None:
            rate = rate_of(weight_p, WeightDrop)
            for layer in self.layers:
                WeightDrop.on(layer, "weight_hh_l0", p=rate)
        self.hidden_dropouts = nn.ModuleList(_new_layer(dropout) for _ in hidden)
        self.output_dropout = _new_layer(dropout)
        self.output = nn.Linear(channels, vocabulary)
        if tied:
            self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the next token at each time, from states of 0 on."""
        return self.step(tokens, None)[0]

    def step(self, tokens: Tensor, state: LSTMState | None) -> tuple[Tensor, LSTMState]:
        """Return the logits, and the state behind the last token; ``state`` is that of the tokens before, or None."""
        if tokens.dim() != 2:
            raise ValueError(f"LSTMLanguageModel takes tokens (batch, time), but got shape {tuple(tokens.shape)}")
        if state is not None and state[0][0].shape[1] != len(tokens):
            raise ValueError(
                f"the state is of {state[0][0].shape[1]} texts, but tokens of shape {tuple(tokens.shape)} are of "
                f"{len(tokens)}; tokens are (batch, time), and all batches of a text have the same size"
            )
        after: list[tuple[Tensor, Tensor]] = []
        x = self.input_dropout(self.embedding(tokens))
        for place, (layer, dropout) in enumerate(zip(self.layers, self._behind(), strict=True)):
            x, reached = layer(x, None if state is None else state[place])
            after.append(reached)
            x = dropout(x)
        return self.output(x), after

    def _behind(self) -> list[nn.Module]:
        return [*self.hidden_dropouts, self.output_dropout]


def _new_layer(dropout: DropoutFactory) -> nn.Module:
    layer = new_layer(dropout)
    if isinstance(layer, LockedDropout) and not layer.batch_first:
        raise ValueError(
            f"the layers of LSTMLanguageModel are (batch, time, channels), but dropout makes {layer}, which takes time "
            "first; give it batch_first=True"
        )
    return layer
