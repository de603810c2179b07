"""Words of the Penn Treebank, with the LSTM whose dropout acts between layers and not between times."""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from adaptive_dropout.data import TensorDataModule
from adaptive_dropout.data.base import Examples
from adaptive_dropout.tasks import LanguageModel
from benchmarks.anchors.anchor import Anchor, require

__all__ = ["WordLSTM", "Words", "read_words", "side_by_side"]

BATCH, TIMES = 20, 35
FULL_RATE = 6  # epochs before the learning rate begins to fall
DECAY = 1.2  # by which it is divided after each later epoch

State = list[tuple[Tensor, Tensor] | None]


class WordLSTM(nn.Module):
    """Two LSTM layers, dropout before, between and behind them: words (batch, time) -> logits (batch, time, words).

    The states of one batch go on into the next, those of training and of evaluation apart, until `forget`.

    Args:
        vocabulary: how many words there are.
        hidden: the width of word vectors and layers.
        p: of dropout.
        scale: initial weights are uniform in [-scale, scale].

    Source: Zaremba, Sutskever and Vinyals (2014), section 3.2.
    """

    def __init__(self, vocabulary: int, hidden: int, p: float, scale: float) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, hidden)
        self.layers = nn.ModuleList(nn.LSTM(hidden, hidden, batch_first=True) for _ in range(2))
        self.dropouts = nn.ModuleList(nn.Dropout(p) for _ in range(3))
        self.output = nn.Linear(hidden, vocabulary)
        for weight in self.parameters():
            nn.init.uniform_(weight, -scale, scale)
        self._states: dict[bool, State] = {}
        self.forget()

    def forget(self, training: bool | None = None) -> None:
        """Let the states of training, of evaluation, or of both (None) start at 0 again."""
        for which in (True, False) if training is None else (training,):
            self._states[which] = [None] * len(self.layers)

    def forward(self, numbers: Tensor) -> Tensor:
        """Return the logits of the next word at each time."""
        x, states = self.dropouts[0](self.words(numbers)), self._states[self.training]
        for place, (layer, dropout) in enumerate(zip(self.layers, list(self.dropouts)[1:], strict=True)):
            x, after = layer(x, states[place])
            states[place] = (after[0].detach(), after[1].detach())
            x = dropout(x)
        logits: Tensor = self.output(x)
        return logits


def read_words(folder: Path, tokens: int) -> tuple[list[Tensor], int]:
    """Return the words of training, validation and test as numbers, and how many different words there are.

    ``tokens`` words of the training text are used, from its beginning; a line ends with a word of its own.
    """
    texts = [gzip.decompress(file.read_bytes()).decode().replace("\n", " <eos> ").split() for file in _files(folder)]
    numbers = {word: number for number, word in enumerate(sorted(set(texts[0])))}
    parts = [torch.tensor([numbers[word] for word in text]) for text in texts]
    return [parts[0][:tokens], *parts[1:]], len(numbers)


def side_by_side(text: Tensor) -> Examples:
    """Return windows of 35 words, ordered so that a batch of 20 goes on where the batch before ended.

    The text is cut into 20 long pieces; row i of every batch is of piece i. What does not fill a window is left out.
    """
    length = (len(text) - 1) // BATCH // TIMES * TIMES
    x, y = (text[begin : begin + BATCH * length].view(BATCH, -1, TIMES) for begin in (0, 1))
    return Examples(x.transpose(0, 1).flatten(0, 1), y.transpose(0, 1).flatten(0, 1))


class _Text(TensorDataModule):
    def __init__(self, folder: Path, tokens: int) -> None:
        super().__init__(BATCH)
        self.folder, self.tokens = folder, tokens
        self.vocabulary = 0

    def examples(self) -> tuple[Examples, Examples, Examples]:
        parts, self.vocabulary = read_words(self.folder, self.tokens)
        train, val, test = map(side_by_side, parts)
        return train, val, test

    def train_dataloader(self) -> Any:
        return self._loaders.in_order(self.train_set)  # the states go on from batch to batch


class _Model(LanguageModel):
    """Gradient descent at a rate of 1, which falls epoch by epoch."""

    network: WordLSTM

    def on_train_epoch_start(self) -> None:
        self.network.forget(training=True)

    def on_validation_epoch_start(self) -> None:
        self.network.forget(training=False)

    def on_test_epoch_start(self) -> None:
        self.network.forget(training=False)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
        return [optimizer], [LambdaLR(optimizer, lambda epoch: DECAY ** -max(0, epoch + 1 - FULL_RATE))]


@dataclass(frozen=True)
class Words(Anchor):
    """Penn Treebank; the order of the text is fixed, and the seed is that of weights and noise.

    Args:
        every, validations: as in `Anchor`; 39 epochs as published are 5148 steps on the tenth of the text.
        hidden: 650 as published.
        tokens: words of the training text; 929 589 as published.
        scale: of the initial weights, as published.
    """

    every: int = 132
    validations: int = 39
    hidden: int = 200
    tokens: int = 93_000
    scale: float = 0.05

    p: ClassVar[float] = 0.5
    clip: ClassVar[float | None] = 5.0

    def files(self, folder: Path) -> list[Path]:
        """Return the three files."""
        return _files(folder)

    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the text in batches of 20 x 35 words."""
        return _Text(folder, self.tokens)

    def model(self, data: Any, p: float) -> L.LightningModule:
        """Return the published network at this size."""
        return _Model(WordLSTM(data.vocabulary, self.hidden, p, self.scale))

    def score(self, tested: Mapping[str, float], data: Any) -> float:
        """Return the perplexity."""
        return math.exp(tested["test_loss"])


def _files(folder: Path) -> list[Path]:
    return require(folder, *(f"ptb/ptb.{part}.txt.gz" for part in ("train", "valid", "test")))
