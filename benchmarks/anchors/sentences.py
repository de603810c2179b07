"""Sentences: film reviews (MR) and questions (TREC), with the convolutional network whose word vectors are learned."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor, nn

from adaptive_dropout.data import TensorDataModule
from adaptive_dropout.data.base import Examples
from adaptive_dropout.tasks import Classifier
from benchmarks.anchors.anchor import Anchor, require

__all__ = ["Reviews", "SentenceCNN", "Sentences", "number_words"]

PADDING = 0
SHORTEST = 5  # words: the widest filter
BATCH = 50


class SentenceCNN(nn.Module):
    """Filters over 3, 4 and 5 words, the largest response of each, dropout, and a dense layer.

    Word numbers (batch, length) -> logits (batch, classes); 0 is padding, whose vector stays 0.

    Args:
        vocabulary: how many words there are, padding among them.
        classes: how many labels.
        p: of dropout.
        channels: of a word vector.
        filters: of each width.

    Source: Kim (2014), section 2.
    """

    def __init__(self, vocabulary: int, classes: int, p: float, channels: int, filters: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, channels, padding_idx=PADDING)
        with torch.no_grad():
            self.words.weight.uniform_(-0.25, 0.25)[PADDING] = 0
        self.filters = nn.ModuleList(nn.Conv1d(channels, filters, width) for width in (3, 4, SHORTEST))
        self.dropout = nn.Dropout(p)
        self.output = nn.Linear(3 * filters, classes)

    def forward(self, numbers: Tensor) -> Tensor:
        """Return the logits; what is padding in every sentence of the batch is left out."""
        longest = max(SHORTEST, int((numbers != PADDING).sum(1).max()))
        x = self.words(numbers[:, :longest]).mT
        found = torch.cat([layer(x).relu().amax(2) for layer in self.filters], 1)
        logits: Tensor = self.output(self.dropout(found))
        return logits


class OutputMaxNorm(L.Callback):
    """Keeps the weights into each unit of the output layer within a 2-norm of 3, after every step; as published."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        """Shorten what is longer."""
        weight = pl_module.network.output.weight
        with torch.no_grad():
            weight.mul_((3 / weight.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1))


def number_words(sentences: Sequence[Sequence[str]]) -> tuple[Tensor, int]:
    """Return (sentences, longest) numbers from 1 on, padded with 0 at the end, and how many numbers there are."""
    numbers = {word: number for number, word in enumerate(sorted({word for each in sentences for word in each}), 1)}
    made = torch.full((len(sentences), max(map(len, sentences))), PADDING)
    for row, sentence in zip(made, sentences, strict=True):
        row[: len(sentence)] = torch.tensor([numbers[word] for word in sentence])
    return made, len(numbers) + 1


class _Sentences(TensorDataModule):
    def __init__(self, x: Tensor, y: Tensor, parts: Sequence[Any], words: int, seed: int) -> None:
        super().__init__(BATCH, seed)
        self.words, self.classes = words, int(y.max()) + 1
        self.parts = [Examples(x[part], y[part]) for part in parts]

    def examples(self) -> tuple[Examples, Examples, Examples]:
        train, val, test = self.parts
        return train, val, test


@dataclass(frozen=True)
class Sentences(Anchor):
    """TREC: 5452 questions of six kinds, a tenth of which validates, another for each seed; 500 others test.

    Args:
        every, validations: as in `Anchor`.
        channels: of a word vector; 300 as published.
        filters: of each width; 100 as published.
    """

    every: int = 49
    validations: int = 30
    channels: int = 100
    filters: int = 50

    p: ClassVar[float] = 0.5

    def files(self, folder: Path) -> list[Path]:
        """Return the two files."""
        return require(folder, "sentences/TREC.train.gz", "sentences/TREC.test.gz")

    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the questions in batches of 50."""
        x, y, words, tested = read_questions(*self.files(folder))
        rest, test = np.split(np.arange(len(y)), [len(y) - tested])
        train, val = np.split(np.random.default_rng(seed).permutation(rest), [9 * len(rest) // 10])
        return _Sentences(x, y, [train, val, test], words, seed)

    def model(self, data: Any, p: float) -> L.LightningModule:
        """Return the published network at this size, trained by Adadelta."""
        network = SentenceCNN(data.words, data.classes, p, self.channels, self.filters)
        return Classifier(network, data.classes, functools.partial(torch.optim.Adadelta, lr=1.0, rho=0.95, eps=1e-6))

    def score(self, tested: Mapping[str, float], data: Any) -> float:
        """Return the accuracy in percent."""
        return 100 * tested["test_accuracy"]

    def callbacks(self) -> Sequence[L.Callback]:
        """Return the constraint on the output layer."""
        return [OutputMaxNorm()]


@dataclass(frozen=True)
class Reviews(Sentences):
    """MR: 10 662 sentences of film reviews, half of them positive; a tenth tests, the fold of the seed's number."""

    every: int = 86
    validations: int = 20

    def files(self, folder: Path) -> list[Path]:
        """Return the two files."""
        return require(folder, "sentences/rt-polarity.pos.gz", "sentences/rt-polarity.neg.gz")

    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the sentences in batches of 50."""
        x, y, words = read_reviews(*self.files(folder))
        order = np.random.default_rng(0).permutation(len(y))
        test = np.array_split(order, 10)[seed % 10]
        rest = np.setdiff1d(order, test)
        train, val = np.split(np.random.default_rng(seed).permutation(rest), [9 * len(rest) // 10])
        return _Sentences(x, y, [train, val, test], words, seed)


@functools.lru_cache(maxsize=1)
def read_questions(train: Path, test: Path) -> tuple[Tensor, Tensor, int, int]:
    """Return word numbers, labels, how many words there are, and how many of the last questions are of ``test``."""
    lines = [_lines(file) for file in (train, test)]
    labels, questions = zip(*(line.split(" ", 1) for line in [*lines[0], *lines[1]]), strict=True)
    kinds = [label.split(":")[0] for label in labels]
    known = sorted(set(kinds))
    x, words = number_words([question.lower().split() for question in questions])
    return x, torch.tensor([known.index(kind) for kind in kinds]), words, len(lines[1])


@functools.lru_cache(maxsize=1)
def read_reviews(positive: Path, negative: Path) -> tuple[Tensor, Tensor, int]:
    """Return word numbers, labels, and how many words there are."""
    lines = [_lines(file) for file in (negative, positive)]
    x, words = number_words([line.lower().split() for line in [*lines[0], *lines[1]]])
    return x, torch.cat([torch.full((len(part),), label) for label, part in enumerate(lines)]), words


def _lines(file: Path) -> list[str]:
    return [line for line in gzip.decompress(file.read_bytes()).decode("latin-1").splitlines() if line.strip()]
