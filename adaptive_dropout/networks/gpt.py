"""`GPT`: a small decoder-only transformer that predicts the next token of a sequence.

Its rates are called ``embedding_dropout``, then for each block ``blocks.0.attention.dropout`` (on the attention
weights), ``blocks.0.residual_dropout1`` (on what attention adds) and ``blocks.0.residual_dropout2`` (on what the dense
layers add). If asked for, ``blocks.0.attention.drop_key`` acts on the scores before the softmax, and
``blocks.0.attention.drop_head`` on the heads after it.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adaptive_dropout.functional import scaled_dot_product_attention
from adaptive_dropout.modules import Dropout
from adaptive_dropout.networks.factory import DropoutFactory, check_sizes, new_layer

__all__ = ["GPT"]

INIT_STD = 0.02


class GPT(nn.Module):
    """A pre-norm transformer with causal attention: tokens (batch, time) -> logits (batch, time, vocabulary).

    The logits at a time are for the token that follows, and depend on the tokens up to that time only. Positions are
    learned; the output layer is the transposed token embedding. There are 1 + 3 ``layers`` dropout layers, and
    ``layers`` more of each kind of attention noise that is given.

    Args:
        vocabulary: the number of different tokens; a token is int64 in 0 ... ``vocabulary`` - 1.
        context: the length of the longest sequence.
        layers: the number of blocks, each of attention and dense layers.
        heads: the number of attention heads in a block; divides ``channels``.
        channels: the width of the network; a block's hidden dense layer is four times as wide.
        dropout: makes one dropout layer per call, without arguments.
        drop_key: makes the noise on the scores of a block's attention, (batch, heads, time, time), such as `DropKey`.
        drop_head: makes the noise on the heads of a block, (batch, heads, time, channels), such as `DropHead`.

    Raises:
        TypeError: ``dropout`` is a layer instead of something that makes layers, or a size is not an integer.
        ValueError: a size is less than 1, or ``heads`` does not divide ``channels``; at a call: the input is not
            (batch, time), or time exceeds ``context``.

    Source: Radford et al. (2019), section 2.3: norms, initialisation; Press and Wolf (2017): the tied embedding.
    """

    def __init__(
        self,
        vocabulary: int,
        context: int = 64,
        layers: int = 2,
        heads: int = 4,
        channels: int = 64,
        dropout: DropoutFactory = Dropout,
        drop_key: DropoutFactory | None = None,
        drop_head: DropoutFactory | None = None,
    ) -> None:
        super().__init__()
        check_sizes(vocabulary=[vocabulary], context=[context], layers=[layers], heads=[heads], channels=[channels])
        if channels % heads:
            raise ValueError(f"channels has to be a multiple of heads, {heads}, but got {channels}")
        self.context = context
        self.token_embedding = _embedding(vocabulary, channels)
        self.position_embedding = _embedding(context, channels)
        self.embedding_dropout = new_layer(dropout)
        # Each layer adds two terms to the residual path; with this scale their sum starts as large as a single term.
        std = INIT_STD / math.sqrt(2 * layers)
        blocks = [Block(channels, heads, std, dropout) for _ in range(layers)]
        for block in blocks:
            block.attention.add_noise(drop_key, drop_head)
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the next token at each time."""
        if tokens.dim() != 2:
            raise ValueError(f"GPT takes tokens (batch, time), but got shape {tuple(tokens.shape)}")
        time = tokens.shape[1]
        if time > self.context:
            raise ValueError(f"a sequence has at most {self.context} tokens, the context of this GPT, but got {time}")
        x = self.token_embedding(tokens) + self.position_embedding.weight[:time]
        x = self.norm(self.blocks(self.embedding_dropout(x)))
        return F.linear(x, self.token_embedding.weight)


class Block(nn.Module):
    """Attention, then two dense layers with GELU between them, each of the form x + f(norm(x)).

    Args:
        channels: the width of input and output, (batch, time, channels).
        heads: the number of attention heads; divides ``channels``.
        residual_std: the initial standard deviation of the weights onto the residual path.
        dropout: makes one dropout layer per call.
    """

    def __init__(self, channels: int, heads: int, residual_std: float, dropout: DropoutFactory) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = CausalSelfAttention(channels, heads, residual_std, dropout)
        self.residual_dropout1 = new_layer(dropout)
        self.norm2 = nn.LayerNorm(channels)
        dense = OrderedDict[str, nn.Module](widen=_linear(channels, 4 * channels), gelu=nn.GELU())
        dense["narrow"] = _linear(4 * channels, channels, residual_std)
        self.dense = nn.Sequential(dense)
        self.residual_dropout2 = new_layer(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` plus both branches, in the shape of ``x``."""
        x = x + self.residual_dropout1(self.attention(self.norm1(x)))
        y: Tensor = x + self.residual_dropout2(self.dense(self.norm2(x)))
        return y


class CausalSelfAttention(nn.Module):
    """The output at a time is a weighted mean of the values up to that time: softmax(q k' / sqrt(size)) v per head.

    `Dropout` on the weights of the softmax is part of `functional.scaled_dot_product_attention`, which is fused on a
    GPU; `DropKey` is then a part of its mask. Other noise, and a layer with hooks, needs the weights, so the softmax is
    then written out. So it is on a CPU.

    Args:
        channels: the width of input and output, (batch, time, channels).
        heads: the number of attention heads; divides ``channels``.
        residual_std: the initial standard deviation of the output weights.
        dropout: makes the dropout layer.

    Source: Vaswani et al. (2017), equation 1.
    """

    def __init__(self, channels: int, heads: int, residual_std: float, dropout: DropoutFactory) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = _linear(channels, 3 * channels)
        self.dropout = new_layer(dropout)
        self.output = _linear(channels, channels, residual_std)
        self.drop_key: nn.Module | None = None
        self.drop_head: nn.Module | None = None

    def add_noise(self, drop_key: DropoutFactory | None, drop_head: DropoutFactory | None) -> None:
        """Give the scores and the heads noise of their own, where something makes it."""
        self.drop_key = None if drop_key is None else new_layer(drop_key)
        self.drop_head = None if drop_head is None else new_layer(drop_head)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed values, of the shape of ``x``."""
        split = self.query_key_value(x).unflatten(-1, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (batch, heads, time, size)
        p = _fusable_p(self.dropout) if x.is_cuda else None
        if p is None:
            scores = _causal(query @ key.mT / math.sqrt(query.shape[-1]))
            scores = scores if self.drop_key is None else self.drop_key(scores)
            attended = self.dropout(scores.softmax(-1)) @ value
        else:
            mask = self._dropping_mask(query)
            attended = scaled_dot_product_attention(query, key, value, p, mask, is_causal=mask is None)
        attended = attended if self.drop_head is None else self.drop_head(attended)
        mixed: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return mixed

    def _dropping_mask(self, query: Tensor) -> Tensor | None:
        """Return the causal mask, to be added to the scores, with the keys dropped; None if none ever are."""
        if self.drop_key is None or not self.drop_key.training:
            return None
        time = query.shape[-2]
        mask: Tensor = self.drop_key(_causal(query.new_zeros(*query.shape[:-1], time)))
        return mask


def _causal(scores: Tensor) -> Tensor:
    """Return ``scores`` with -inf where a key is later than its query."""
    return scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1), -math.inf)


def _fusable_p(layer: nn.Module) -> float | Tensor | None:
    """Return the p of a ``layer`` that attention may include; None if the layer has to be called: it is watched, or its
    noise is another.
    """
    watched = layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks
    if watched or "noise" in vars(layer) or "forward" in vars(layer):
        return None
    if not layer.training:
        return 0.0
    return layer.rate.kernel_value if type(layer) is Dropout else None


def _embedding(count: int, channels: int) -> nn.Embedding:
    embedding = nn.Embedding(count, channels)
    nn.init.normal_(embedding.weight, std=INIT_STD)
    return embedding


def _linear(inputs: int, outputs: int, std: float = INIT_STD) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    nn.init.normal_(linear.weight, std=std)
    nn.init.zeros_(linear.bias)
    return linear
