"""The text: three files of sentences as numbers, in windows that go on from batch to batch."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adaptive_dropout.data import TensorDataModule
from adaptive_dropout.data.base import Examples
from benchmarks.anchors.anchor import require

__all__ = ["BATCH", "TIMES", "WordText", "files", "read_words", "side_by_side"]

BATCH, TIMES = 20, 35


def files(folder: Path) -> list[Path]:
    """Return the files of training, validation and test in ``folder``; raise FileNotFoundError if one is missing."""
    return require(folder, *(f"ptb/ptb.{part}.txt.gz" for part in ("train", "valid", "test")))


def read_words(folder: Path, tokens: int, held_out: int) -> tuple[list[Tensor], int]:
    """Return the words of training, validation and test as numbers, and how many different words there are.

    A line ends with a word of its own. ``tokens`` words of the training text are used, from its beginning, and
    ``held_out`` of each of the others.
    """
    texts = [gzip.decompress(file.read_bytes()).decode().replace("\n", " <eos> ").split() for file in files(folder)]
    numbers = {word: number for number, word in enumerate(sorted(set(texts[0])))}
    used = [text[:most] for text, most in zip(texts, (tokens, held_out, held_out), strict=True)]
    return [torch.tensor([numbers[word] for word in text]) for text in used], len(numbers)


def side_by_side(text: Tensor) -> Examples:
    """Return windows of 35 words, ordered so that a batch of 20 goes on where the batch before ended.

    The text is cut into 20 long pieces; row i of every batch is of piece i. What does not fill a window is left out.
    """
    length = (len(text) - 1) // BATCH // TIMES * TIMES
    x, y = (text[begin : begin + BATCH * length].view(BATCH, -1, TIMES) for begin in (0, 1))
    return Examples(x.transpose(0, 1).flatten(0, 1), y.transpose(0, 1).flatten(0, 1))


class WordText(TensorDataModule):
    """Batches of 20 x 35 words, in the order of the text.

    Args:
        folder, tokens, held_out: as in `read_words`.
    """

    def __init__(self, folder: Path, tokens: int, held_out: int) -> None:
        super().__init__(BATCH)
        self.folder, self.tokens, self.held_out = folder, tokens, held_out
        self.vocabulary = 0

    def examples(self) -> tuple[Examples, Examples, Examples]:
        """Return the three parts."""
        parts, self.vocabulary = read_words(self.folder, self.tokens, self.held_out)
        train, val, test = map(side_by_side, parts)
        return train, val, test

    def train_dataloader(self) -> Any:
        """Return the batches in the order of the text, because the states go on from one to the next."""
        return self._loaders.in_order(self.train_set)
