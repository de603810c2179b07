"""Where in Shakespeare? Passages of forty words, told apart by the tenth of the text that they come from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from benchmarks.beyond.gradient import Examples, Fitting, GradientLearner
from benchmarks.beyond.task import Task, check_file, entropy, split_rows

__all__ = ["AveragingNetwork", "Passages", "known_words", "read_passages"]

_TENTHS, _WORDS = 10, 40


class AveragingNetwork(nn.Module):
    """The mean of the words' embeddings, and one hidden layer: from words, (batch, words), and class to the loss.

    Words are dropped before the mean. Word 0 stands for all that are not known, and says nothing.

    Source: Iyyer et al. (2015), "Deep unordered composition rivals syntactic methods for text classification".
    """

    def __init__(self, vocabulary: int, p: float, channels: int = 64) -> None:
        super().__init__()
        # Small, so that what is not learned says little: 1000 passages tell less about most words than torch's N(0, 1).
        start = torch.cat((torch.zeros(1, channels), 0.1 * torch.randn(vocabulary, channels)))
        self.embedding = nn.Embedding.from_pretrained(start, freeze=False, padding_idx=0)  # type: ignore[no-untyped-call]
        self.dropout = ad.WordDropout(p)
        self.head = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, _TENTHS))

    def forward(self, words: Tensor, tenth: Tensor) -> Tensor:
        """Return the cross-entropy of each passage, (batch,)."""
        count = (words > 0).sum(1, keepdim=True).clamp(min=1)
        mean = self.dropout(self.embedding(words)).sum(1) / count
        return F.cross_entropy(self.head(mean), tenth, reduction="none")


@dataclass(frozen=True)
class Passages(Task):
    """Passages of tiny Shakespeare, which is plays one after another; 500 validate and 2000 test.

    The lines that name a speaker are taken out. Passages of one scene fall into different parts, so this is easier
    than a scene that was never read.

    Args:
        train: how many passages are trained on.
        lr: learning rate.
    """

    train: int = 1000
    lr: float = 0.005

    def files(self, folder: Path) -> list[Path]:
        """Return the text."""
        return check_file(folder / "tiny_shakespeare" / "input.txt")

    def learner(self, folder: Path, seed: int, p: float) -> GradientLearner:
        """Return a network that knows the words which the training passages say more than once."""
        words, tenth = read_passages(self.files(folder)[0].read_text())
        train, val, test, _ = split_rows((words, tenth), seed, self.train, 500, 2000)
        numbers = known_words(train[0], int(words.max()) + 1)
        parts = [(numbers[part[0]], part[1]) for part in (train, val, test)]
        network = AveragingNetwork(int(numbers.max()), p)
        return GradientLearner(network, parts, entropy(train[1]), Fitting(lr=self.lr), seed)


def read_passages(text: str) -> Examples:
    """Return each passage as the numbers of its words, (passages, 40), and the tenth of the text it begins in."""
    lines = [line for line in text.lower().split("\n") if not line.endswith(":")]
    words = re.findall(r"[a-z']+", "\n".join(lines))
    number = {word: n for n, word in enumerate(sorted(set(words)))}
    count = len(words) // _WORDS
    passages = torch.tensor([number[word] for word in words[: count * _WORDS]]).view(count, _WORDS)
    return passages, torch.arange(count) * _TENTHS // count


def known_words(words: Tensor, vocabulary: int) -> Tensor:
    """Return new numbers by old ones, (vocabulary,): from 1 on where ``words`` say a word more than once, else 0."""
    known = words.flatten().bincount(minlength=vocabulary) > 1
    return known.cumsum(0) * known
