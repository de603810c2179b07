"""`StatefulLanguageModel`: a text that goes on from batch to batch, and with it the state of the network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from adaptive_dropout.tasks.language_model import LanguageModel

__all__ = ["StatefulLanguageModel"]


class StatefulLanguageModel(LanguageModel):
    """A `LanguageModel` whose network goes on from the state that the batch before ended with.

    The states of training and of evaluation are kept apart. Each epoch, and each validation, starts from states of 0;
    no gradient reaches the batch before. The state moves on when a batch ends: a step that runs twice on its batch, as
    with `BernoulliGradient`, starts twice from the same state. States are not in checkpoints, so a run resumed within
    an epoch goes on from 0.

    Batches have to follow each other in the text, row by row, in one size: load them in order, and drop what is left. A
    batch of another size starts from 0, as pieces of a batch do on which a hypergradient is measured.

    Args:
        network: has ``step(tokens, state)``, which returns logits and the state after them, as `LSTMLanguageModel` has.
        optimizer, lr_scheduler: as in `Task`.

    Raises:
        TypeError: ``network`` has no ``step``.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__(network, optimizer, lr_scheduler)
        if not callable(getattr(network, "step", None)):
            raise TypeError(
                f"StatefulLanguageModel needs a network with step(tokens, state), as LSTMLanguageModel has, but got "
                f"{type(network).__name__}; LanguageModel starts each batch anew"
            )
        self._states: dict[bool, tuple[int, Any]] = {}  # by training mode: the size of the batch, and its state
        self._reached: dict[bool, tuple[int, Any]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's output for tokens that follow those of the batch before."""
        output: Tensor
        size, state = self._states.get(self.training, (0, None))
        step: Any = self.network.step
        output, reached = step(x, state if size == len(x) else None)
        self._reached[self.training] = len(x), _detached(reached)
        return output

    def on_train_epoch_start(self) -> None:
        """Begin the text anew."""
        self._forget(True)

    def on_validation_epoch_start(self) -> None:
        """Begin the text anew."""
        self._forget(False)

    def on_test_epoch_start(self) -> None:
        """Begin the text anew."""
        self._forget(False)

    def on_predict_epoch_start(self) -> None:
        """Begin the text anew."""
        self._forget(False)

    def on_train_batch_end(self, *_: Any) -> None:
        """Go on from where this batch has ended."""
        self._states.update(self._reached)

    def on_validation_batch_end(self, *_: Any) -> None:
        """Go on from where this batch has ended."""
        self._states.update(self._reached)

    def on_test_batch_end(self, *_: Any) -> None:
        """Go on from where this batch has ended."""
        self._states.update(self._reached)

    def on_predict_batch_end(self, *_: Any) -> None:
        """Go on from where this batch has ended."""
        self._states.update(self._reached)

    def _forget(self, training: bool) -> None:
        for states in (self._states, self._reached):
            states.pop(training, None)


def _detached(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach()
    return tuple(map(_detached, state)) if isinstance(state, Iterable) else state
