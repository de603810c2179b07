"""`LanguageModel`: the next token, at every place of a sequence."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from adaptive_dropout.tasks.base import Task

__all__ = ["LanguageModel"]


class LanguageModel(Task):
    """Trains a network by cross-entropy at every time; logs loss (NLL per token, in nats) and accuracy per token.

    The network maps tokens x, int64 (batch, time), to logits (batch, time, vocabulary) for y, the tokens one later,
    int64 (batch, time). The loss in bits per token is the one logged divided by ln 2.
    """

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the mean cross-entropy per token of logits (batch, time, vocabulary) and tokens (batch, time)."""
        if output.dim() != 3 or output.shape[:2] != y.shape:
            raise ValueError(
                "LanguageModel takes logits (batch, time, vocabulary) and tokens (batch, time), "
                f"but got {tuple(output.shape)} and {tuple(y.shape)}"
            )
        return F.cross_entropy(output.flatten(0, 1), y.flatten())

    def prediction(self, output: Tensor) -> Tensor:
        """Return the most probable next token at each time, int64 (batch, time)."""
        return output.argmax(-1)

    def metrics(self) -> MetricCollection:
        """Return the fraction of tokens that were the most probable one."""
        return MetricCollection({"accuracy": MulticlassAccuracy(average="micro")})
