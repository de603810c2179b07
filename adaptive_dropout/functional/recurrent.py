"""Noise of recurrent networks of words: one mask for all times, dropped weights, and dropped words of a vocabulary."""

from __future__ import annotations

from itertools import groupby
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from adaptive_dropout.functional.bernoulli import dropout
from adaptive_dropout.functional.inputs import as_number, check_input, is_known_zero
from adaptive_dropout.noise.backend import readable
from adaptive_dropout.noise.settings import Key, work_dtype

__all__ = ["Sequences", "embedding_dropout", "locked_dropout", "locked_shape", "weight_drop"]

Sequences = TypeVar("Sequences", Tensor, PackedSequence)
"""A tensor, or sequences of several lengths without padding."""


def locked_dropout(x: Sequences, p: float | Tensor, batch_first: bool = False, key: Key | None = None) -> Sequences:
    """Drop features of whole sequences: each sequence has one mask for all of its times; otherwise as `dropout`.

    Args:
        x: (time, batch, features), as `torch.nn.LSTM` has it; (time, features) is one sequence. More dimensions may
            follow, as in (time, batch, channels, height, width). A `PackedSequence` gets the mask that its padded form
            would get from the same seed.
        p: in [0, 1]; a tensor that broadcasts to the mask, in which time is 1, gives each feature its own.
        batch_first: whether ``x`` is (batch, time, features). A shape does not tell it, and with the wrong one all
            sequences of a batch share one mask at each time. A `PackedSequence` is read alike with both.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``x`` has fewer than two dimensions, or is not floating point.
        ValueError: a `PackedSequence` whose sizes or indices do not fit its data.

    Source: Gal and Ghahramani (2016), "A theoretically grounded application of dropout in recurrent neural networks";
    called variational or locked dropout in Merity, Keskar and Socher (2018), section 4.2.
    """
    if isinstance(x, PackedSequence):
        return _drop_packed(x, p, key)
    return dropout(x, p, noise_shape=locked_shape(x, batch_first), key=key)


def locked_shape(x: Tensor, batch_first: bool) -> tuple[int, ...]:
    """Return the shape of the mask of `locked_dropout`; raise as it does."""
    if x.dim() < 2:
        layout = "(batch, time, features)" if batch_first else "(time, batch, features)"
        raise RuntimeError(
            f"locked_dropout takes {layout}, or (time, features) of one sequence, but got shape {tuple(x.shape)}"
        )
    time = 1 if batch_first and x.dim() > 2 else 0
    return (*x.shape[:time], 1, *x.shape[time + 1 :])


def weight_drop(weight: Tensor, p: float | Tensor, key: Key | None = None) -> Tensor:
    """Drop elements of ``weight``, any shape, before it is used: DropConnect; as `dropout`, with mean ``weight``.

    `WeightDrop` does it to parameters of a module, once for each of its forward passes.

    Source: Wan et al. (2013), "Regularization of neural networks using DropConnect", whose evaluation is an
    approximation; Merity, Keskar and Socher (2018), section 2, for the recurrent weights of an LSTM.
    """
    return dropout(weight, p, key=key)


def embedding_dropout(x: Tensor, tokens: Tensor, vocabulary: int, p: float | Tensor, key: Key | None = None) -> Tensor:
    """Drop whole words of the vocabulary: a dropped word is 0 wherever the batch has it; otherwise as `dropout`.

    It is the embedding of ``tokens`` in a matrix whose rows are dropped, without the matrix: of a vocabulary of 10 000
    a batch of 20 x 35 has 700 words at most.

    Args:
        x: (..., channels), the embeddings of ``tokens``.
        tokens: (...), int64 in 0 ... ``vocabulary`` - 1.
        vocabulary: the number of different tokens.
        p: in [0, 1], 0-dim if it is a tensor.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``x`` is not of the shape of ``tokens`` and one dimension more, or not floating point.

    Source: Gal and Ghahramani (2016), section 4.2; Merity, Keskar and Socher (2018), section 4.3.
    """
    if x.shape[:-1] != tokens.shape or not x.dim():
        raise RuntimeError(
            f"embedding_dropout takes x (..., channels) for tokens (...), but got {tuple(x.shape)} for "
            f"{tuple(tokens.shape)}"
        )
    check_input(x)
    if is_known_zero(p, as_number(p)):
        return x
    kept = dropout(x.new_ones(vocabulary, 1, dtype=work_dtype(x)), p, key=key)
    return (x * kept[tokens]).to(x.dtype)


def _drop_packed(x: PackedSequence, p: float | Tensor, key: Key | None) -> PackedSequence:
    data, sizes = x.data, x.batch_sizes.tolist()  # on the CPU, wherever the data is
    _check_packed(x, sizes)
    check_input(data)
    if is_known_zero(p, as_number(p)) or not sizes:
        return x
    kept = dropout(data.new_ones(sizes[0], *data.shape[1:], dtype=work_dtype(data)), p, key=key)
    if x.sorted_indices is not None:
        kept = kept[x.sorted_indices]
    steps = [(size, len(list(alike))) for size, alike in groupby(sizes)]  # of the same number of sequences
    noise = torch.cat([kept[:size].expand(times, *kept[:size].shape).flatten(0, 1) for size, times in steps])
    return x._replace(data=(data * noise).to(data.dtype))


def _check_packed(x: PackedSequence, sizes: list[int]) -> None:
    """Raise a ValueError where the parts of ``x`` contradict each other, which torch notices late or never."""
    made = "make it with pack_padded_sequence or pack_sequence"
    if sizes != sorted(sizes, reverse=True) or sum(sizes) != len(x.data):
        raise ValueError(
            f"batch_sizes of a PackedSequence have to fall and to sum to the {len(x.data)} rows of its data, but are "
            f"{sizes}; {made}"
        )
    batch = sizes[0] if sizes else 0
    for name in ("sorted_indices", "unsorted_indices"):
        indices = getattr(x, name)
        if indices is None:
            continue
        wrong = tuple(indices.shape) != (batch,)
        if not wrong and readable(indices):  # others would be waited for
            wrong = sorted(indices.tolist()) != list(range(batch))
        if wrong:
            raise ValueError(
                f"{name} of a PackedSequence has to hold each of its {batch} sequences once, but is of shape "
                f"{tuple(indices.shape)}, or has one twice; {made}"
            )
