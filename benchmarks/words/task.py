"""The LSTM whose dropout acts between layers and not between times, its training, and the task as an `Anchor`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from adaptive_dropout.networks import LSTMLanguageModel
from adaptive_dropout.tasks import StatefulLanguageModel
from benchmarks.anchors.anchor import Anchor
from benchmarks.words.text import TIMES, WordText, files

__all__ = ["Descent", "Words"]


class Descent(StatefulLanguageModel):
    """Gradient descent at a rate of 1 on the loss of a window, the sum over its 35 times.

    Args:
        network: the language model.
        full_rate: epochs before the learning rate begins to fall.
        decay: by which it is divided after each later epoch.
    """

    def __init__(self, network: LSTMLanguageModel, full_rate: int, decay: float) -> None:
        super().__init__(network)
        self.full_rate, self.decay = full_rate, decay

    def configure_optimizers(self) -> Any:
        """Return the optimizer; the loss is a mean over times, so its rate, and the clipping, are as if it were a sum.

        Rates are no parameters here: none is learned.
        """
        optimizer = torch.optim.SGD(self.network.parameters(), lr=float(TIMES))
        return [optimizer], [LambdaLR(optimizer, lambda epoch: self.decay ** -max(0, epoch + 1 - self.full_rate))]


@dataclass(frozen=True)
class Words(Anchor):
    """Penn Treebank; the order of the text is fixed, and the seed is that of weights and noise.

    Args:
        every, validations: as in `Anchor`; 39 epochs as published are 5148 steps on the tenth of the text.
        units: of word vectors and of both layers; 650 as published.
        tokens: words of the training text; 929 589 as published.
        held_out: words of the validation text, and of the test text; 82 430 are all of both.
        scale: initial weights are uniform in [-scale, scale]; .05 as published.
        full_rate, decay: as in `Descent`; 6 and 1.2 as published.

    Source: Zaremba, Sutskever and Vinyals (2014), sections 3.2 and 4.1, the medium LSTM.
    """

    every: int = 132
    validations: int = 39
    units: int = 200
    tokens: int = 93_000
    held_out: int = 82_430
    scale: float = 0.05
    full_rate: int = 6
    decay: float = 1.2

    p: ClassVar[float] = 0.5
    clip: ClassVar[float | None] = 5.0 / TIMES

    def files(self, folder: Path) -> list[Path]:
        """Return the three files."""
        return files(folder)

    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the text in batches of 20 x 35 words."""
        return WordText(folder, self.tokens, self.held_out)

    def model(self, data: Any, p: float) -> L.LightningModule:
        """Return the published network at this size."""
        return self.train(LSTMLanguageModel(data.vocabulary, dropout=lambda: nn.Dropout(p), **self.sizes))

    @property
    def sizes(self) -> dict[str, Any]:
        """The widths of the network's two layers."""
        return {"channels": self.units, "hidden": (self.units,)}

    def train(self, network: LSTMLanguageModel) -> L.LightningModule:
        """Return the published training of ``network``, which gets its initial weights."""
        for weight in network.parameters():
            nn.init.uniform_(weight, -self.scale, self.scale)
        return Descent(network, self.full_rate, self.decay)

    def score(self, tested: Mapping[str, float], data: Any) -> float:
        """Return the perplexity."""
        return math.exp(tested["test_loss"])
