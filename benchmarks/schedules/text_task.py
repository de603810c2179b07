"""`TextTask`: a small GPT on the characters of Shakespeare's plays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adaptive_dropout.checks import check_count
from adaptive_dropout.data import Text
from adaptive_dropout.networks import GPT, DropoutFactory
from adaptive_dropout.tasks import LanguageModel
from benchmarks.supervised.task import SupervisedTask

__all__ = ["TextTask"]


@dataclass(frozen=True, kw_only=True)
class TextTask(SupervisedTask):
    """Which character comes next, by two layers of width 64. An epoch has as many windows as there are places to begin.

    Args:
        root: the folder of ``input.txt`` in the data folder.
        n_characters: how many train, validate and test together; 15 % validate, 15 % test.
        context: characters in a window.
    """

    root: str = "tiny_shakespeare"
    n_characters: int = 20_000
    context: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_characters", "context"):
            check_count(getattr(self, name), name)

    def files(self, folder: Path) -> list[Path]:
        """Return the text."""
        file = folder / self.root / "input.txt"
        if not file.is_file():
            raise FileNotFoundError(f"no text in {str(folder)!r}: {str(file)!r} is missing")
        return [file]

    def data(self, folder: Path, seed: int) -> Text:
        """Return the beginning of the text; ``seed`` draws the windows that train."""
        (file,) = self.files(folder)
        return Text(file, self.context, self.batch_size, self.n_characters, val_fraction=0.3, seed=seed)

    def network(self, data: Any, dropout: DropoutFactory) -> nn.Module:
        """Return the GPT, with dropout on the embedding and in each layer after attention and dense part."""
        return GPT(data.vocabulary, self.context, dropout=dropout)

    def learner(self, network: nn.Module, data: Any, train_loss: Callable[[Tensor, Tensor], Tensor]) -> LanguageModel:
        """Return a task that trains by ``train_loss`` of every character."""
        return _Learner(network, self.lr, train_loss)


class _Learner(LanguageModel):
    def __init__(self, network: nn.Module, lr: float, train_loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__(network, lambda parameters: torch.optim.Adam(parameters, lr))
        self.train_loss = train_loss

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the training loss in training mode, else the mean cross-entropy per character; 0-dim."""
        return self.train_loss(output.flatten(0, 1), y.flatten()) if self.training else super().loss(output, y)
