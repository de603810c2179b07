"""The training loss: its mean since the last decision, and what is done where it cannot be compared with validation's.

`TrainLossMeter` measures the mean, which costs nothing. `OwnTrainLoss` measures the training loss by
``validation_step`` where ``training_step`` returns another loss, or none: label smoothing, auxiliary terms and mixed
examples are in one and not in the other, so the two cannot be subtracted. `StandIn` takes the training loss for the
clean one where that cannot be measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_info

from adaptive_dropout.callbacks.losses import add_batch_loss
from adaptive_dropout.callbacks.meters.base import Meter
from adaptive_dropout.callbacks.meters.batches import batch_size
from adaptive_dropout.callbacks.meters.monitored import Monitored
from adaptive_dropout.controllers import State
from adaptive_dropout.signals import RunningLoss
from adaptive_dropout.signals.clean_loss import known_scores, z_score
from adaptive_dropout.signals.footing import differs, mean_and_error

__all__ = ["OwnTrainLoss", "StandIn", "TrainLossMeter"]

CHECKED = (1, 2, 3, 10, 11, 12, 30, 31, 32, 80, 81, 82)
"""The decisions at which the two losses are compared: most runs pay for these alone."""


class TrainLossMeter(Meter):
    """The signals ``train_loss``, with dropout on, and ``train_loss_error``; none without a loss of ``training_step``.

    Args:
        monitored: as in `Meter`.
    """

    def __init__(self, monitored: Monitored) -> None:
        super().__init__(monitored)
        self._running = RunningLoss()
        self._examples = 0

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> None:
        """Count the examples, by which the losses of several processes are weighted."""
        if trainer.world_size > 1:
            self._examples += batch_size(batch) or 1

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any) -> None:
        """Add the loss of this batch."""
        add_batch_loss(self._running, pl_module, outputs)

    def signals(self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]) -> dict[str, float]:
        """Return the mean, and its standard error."""
        mean, error = self._running.mean(), self._running.standard_error()
        if mean is None:
            return {}
        return {"train_loss": mean} if error is None else {"train_loss": mean, "train_loss_error": error}

    def examples(self) -> dict[str, float]:
        """Return how many examples the window had so far."""
        return {"train_loss": float(self._examples), "train_loss_error": float(self._examples)}

    def on_decision(self, state: State) -> None:
        """Forget the losses of the last window."""
        self._running.reset()
        self._examples = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the sum so far, for a checkpoint in the middle of an epoch."""
        return self._running.state_dict() | {"examples": self._examples}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self._running.load_state_dict(state)
        self._examples = state.get("examples", 0)


class OwnTrainLoss:
    """Checks whether ``train_loss`` is the loss that validation logs; if not, measures the latter, dropout on.

    The two have to differ over two intervals in a row. ``train_loss`` is a mean over an interval, so it differs where
    it lies outside of the losses measured at both ends of the interval.
    """

    def __init__(self) -> None:
        self.needed = False
        self._decisions = 0
        self._before: tuple[int, float] | None = None
        self._differed = 0

    def signals(
        self, losses: Sequence[float], noisy: Callable[[Sequence[int]], list[float]], known: Mapping[str, float]
    ) -> dict[str, float]:
        """Return ``train_loss`` where it has to be measured here, else nothing.

        Args:
            losses: of each kept batch, with dropout off.
            noisy: measures the batches at the given places with dropout on; every other batch is enough, each paired
                with its loss without dropout.
            known: the signals; without ``train_loss`` it is always needed.
        """
        self._decisions += 1
        compared = "train_loss" in known and not self.needed
        if compared and self._decisions not in CHECKED:
            return {}
        places = range(0, len(losses), 2 if len(losses) > 2 else 1)
        costs = [loss - losses[place] for loss, place in zip(noisy(places), places, strict=True)]
        mean, error = mean_and_error(losses)
        own = mean + mean_and_error(costs)[0]
        if compared:
            self._compare(own, error, known)
        return {"train_loss": own} if self.needed or "train_loss" not in known else {}

    def forget(self) -> None:
        """Weights were restored: the next measurement is not the end of an interval that the last one began."""
        self._before, self._differed = None, 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        kept = {"needed": self.needed, "decisions": self._decisions, "before": self._before}
        return kept | {"differed": self._differed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self.needed, self._decisions, self._differed = state["needed"], state["decisions"], state["differed"]
        self._before = state["before"] and tuple(state["before"])

    def _compare(self, own: float, error: float, known: Mapping[str, float]) -> None:
        before, self._before = self._before, (self._decisions, own)
        if before is None or before[0] != self._decisions - 1:
            self._differed = 0
            return
        train_loss = known["train_loss"]
        nearest = min(max(train_loss, min(before[1], own)), max(before[1], own))
        if not differs(train_loss, known.get("train_loss_error", 0.0), nearest, error):
            self._differed = 0
            return
        self._differed += 1
        self.needed = self._differed > 1
        if self.needed:
            rank_zero_info(
                f"training_step returns {train_loss:.4g} where validation_step logs {own:.4g} with dropout on: they "
                "are not the same loss, so the training loss is measured by validation_step"
            )


class StandIn:
    """The signals ``gap_z`` and ``clean_drop_z``, from the training loss, which lies above the clean one.

    ``train`` is that loss and its standard error since the last decision, None where there is none. A single loss has
    no standard error; where the other side has none either, the signal is left out.
    """

    def __init__(self) -> None:
        self.train: tuple[float, float | None] | None = None
        self._marked: tuple[float, float | None] | None = None

    def take(self, known: Mapping[str, float]) -> None:
        """Read the training loss from the ``known`` signals."""
        if "train_loss" in known:
            self.train = known["train_loss"], known.get("train_loss_error")

    def mark(self) -> None:
        """Remember this training loss, of the best validation, to compare later ones with."""
        self._marked = self.train

    def signals(self, val_loss: float, val_losses: Sequence[float]) -> dict[str, float]:
        """Return the signals; nothing without a training loss.

        Args:
            val_loss: of the whole validation.
            val_losses: of each validation batch, where that is known.
        """
        if self.train is None:
            return {}
        loss, error = self.train
        val_error = mean_and_error(val_losses)[1] if len(val_losses) > 1 else None
        scores = {"gap_z": z_score(val_loss - loss, error, val_error)}
        if self._marked is not None:
            marked, marked_error = self._marked
            scores["clean_drop_z"] = z_score(marked - loss, error, marked_error)
        return known_scores(scores)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        return {"marked": self._marked}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self._marked = state["marked"] and tuple(state["marked"])
