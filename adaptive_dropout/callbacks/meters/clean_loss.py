"""Measures the clean loss in any LightningModule: runs its own validation on a fixed part of the training data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from adaptive_dropout.callbacks.isolated import IsolatedValidation, losses_of_batches
from adaptive_dropout.callbacks.losses import ValidationLosses, batch_loss
from adaptive_dropout.callbacks.meters.base import Meter
from adaptive_dropout.callbacks.meters.batches import RunBatches, batches_in_memory, loader_in_memory
from adaptive_dropout.callbacks.meters.examples import distinct
from adaptive_dropout.callbacks.meters.monitored import Monitored
from adaptive_dropout.callbacks.meters.train_loss import OwnTrainLoss, StandIn
from adaptive_dropout.callbacks.meters.untrained import Untrained
from adaptive_dropout.callbacks.trainer import batches_between_validations
from adaptive_dropout.controllers import State
from adaptive_dropout.signals import CleanLoss
from adaptive_dropout.signals.footing import Footing, compare_untrained, mean_and_error

__all__ = ["CleanLossMeter"]

EXAMPLES = 300
FEWEST, MOST = 4, 12  # batches: a standard error of fewer says little
SHARE = 0.125  # of the batches between two validations: forward only, that is 4 % of the run's gradient evaluations

Copies = Callable[[], IsolatedValidation]


class CleanLossMeter(Meter):
    """The signals of `CleanLoss` in a Lightning run, and ``trivial_loss``, the loss before any training.

    The fixed part of the training data is made of whole batches: at least four, and as many as have 300 examples, but
    at most 12 and an eighth of the batches between two validations. They are spread over the data where it lies in
    memory; else they are the first batches of the run as they left their loader, and other batches after a resume.
    Those that hold the same examples count once: where all training data is one batch, there is no standard error, and
    ``clean_drop_z`` is left out, ``gap_z`` too if validation has a single batch.
    Lightning's own loop validates them on a copy of the module in a trainer of its own (`callbacks.isolated`), so that
    the run is not affected. They are never merged into larger ones: a loss may depend on the size of its batch, the
    memory may not hold a larger one, and the standard error needs a loss for each. All losses stay on the device until
    the last batch is done, and are then read together.

    `signals.footing` and `OwnTrainLoss` decide which losses may be compared. Where nothing can be
    measured, the training loss with dropout on stands in for the clean one, with one warning.

    Args:
        monitored: as in `Meter`.
    """

    def __init__(self, monitored: Monitored) -> None:
        super().__init__(monitored)
        self.clean = CleanLoss()
        self.footing = Footing()
        self.lacks = ""
        self._own, self._stand_in = OwnTrainLoss(), StandIn()
        self._untrained = Untrained()
        self._saved: dict[str, Any] | None = None
        self._chosen = False
        self._waited = 0
        self._lost = ""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batches: RunBatches) -> None:
        """Choose the batches, or ask for the first ones."""
        self._batches, self._losses = batches, ValidationLosses("")
        if self.lacks:
            return
        most = max(2, min(MOST, round(SHARE * batches_between_validations(trainer))))
        batches.train.most = most
        loader = loader_in_memory(trainer)
        if loader is not None:
            size, rank = loader.batch_size, trainer.global_rank
            found = self._try(lambda: batches_in_memory(loader, _batches_needed(most, size), rank)) or []
            batches.train.batches = found if len(found) > 1 else []
        if not batches.train.batches and self._saved is not None:
            self._saved, self._lost = None, "the clean loss may go on with other examples of the training data"
        if self._untrained.losses is None:
            batches.val.most = FEWEST
        if self._untrained.loaded:  # a validation that is due comes before the next batch
            self._keep_untrained(trainer, pl_module)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> None:
        """Keep a copy of the untrained network, to be measured at the first decision."""
        if self._chosen:
            return
        kept = self._batches.train
        if not kept.full:
            kept.most = _batches_needed(kept.most, kept.size)
        self._keep_untrained(trainer, pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any) -> None:
        """Keep the loss of the first batch of the run."""
        self._untrained.keep_first(lambda: batch_loss(pl_module, outputs))

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forget the losses of the last validation."""
        self._losses = ValidationLosses(self.monitored.name or "")

    def on_validation_batch_end(self, trainer: L.Trainer) -> None:
        """Read the loss of this batch."""
        self._losses.add(trainer)

    def signals(
        self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]
    ) -> Mapping[str, float | None]:
        """Return the signals, measured now."""
        self._stand_in.take(known)
        found = None if self.lacks else self._try(lambda: self._measure(trainer, pl_module, known))
        return self._stand_in_signals(known["val_loss"]) if found is None else found

    def on_decision(self, state: State) -> None:
        """Remember the losses of the best validation, to compare later ones with."""
        if state.rewind or state.restart:
            self._own.forget()
        if state.improved:
            self.clean.mark()
            self._stand_in.mark()

    def on_fit_end(self) -> None:
        """Drop the copy of the untrained network."""
        self._untrained.forget()

    def lost(self) -> str:
        """Return that the examples are others, if they are."""
        return self._lost

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know: numbers, no examples; before the first decision the first weights."""
        clean = self.clean.state_dict() if self._chosen or self._saved is None else self._saved
        return {
            "clean": clean, "footing": list(self.footing), "own": self._own.state_dict(), "lacks": self.lacks,
            "stand_in": self._stand_in.state_dict(), **self._untrained.state_dict(),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken; `on_train_start` says whether with the same examples."""
        self._saved, self.lacks, self.footing = state["clean"], state["lacks"], Footing(*state["footing"])
        for part, own in ((self._own, state["own"]), (self._stand_in, state["stand_in"]), (self._untrained, state)):
            part.load_state_dict(own)

    def _measure(
        self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]
    ) -> dict[str, float | None]:
        kept, copies = self._batches.train, partial(IsolatedValidation, trainer, pl_module)
        if self._batches.error:
            raise ValueError(self._batches.error)
        if not self._chosen:
            if len(kept.batches) < min(2, kept.most) and self._waited < FEWEST:
                self._waited += 1  # few batches between two validations: the next one comes
                return {}
            self._choose(copies)
        losses = self._measure_losses(copies, kept.batches)
        train, trivial, first = self._stand_in.train, self._untrained.losses or [], self._untrained.first
        if trivial and len(losses) == len(trivial) and train and first is not None:
            self.monitored.observe(trivial, losses, (first, train[0]))
        signals = self._compare(losses, known)
        if not self.monitored.comparable(trivial, first):  # a score, perhaps: soon it will be known
            return {"clean_loss": signals["clean_loss"], "train_loss": None}
        return {**signals, **self._training_loss(copies, losses, known)}

    def _keep_untrained(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.lacks:
            self._try(lambda: self._untrained.keep(trainer, pl_module))

    def _choose(self, copies: Copies) -> None:
        """Stop collecting batches; measure the loss before any training, on validation data too."""
        kept, val = self._batches.train, self._batches.val
        self._batches.unwatch()
        kept.batches, val.batches = distinct(kept.batches), distinct(val.batches)
        untrained = self._untrained.copy
        first = self._measure_losses(copies if untrained is None else untrained.copy, kept.batches)
        # A batch that has no loss at first, as with a broken example, never has one.
        fine = [math.isfinite(loss) for loss in first]
        kept.batches = [batch for batch, is_fine in zip(kept.batches, fine, strict=True) if is_fine]
        if not kept.batches:
            raise ValueError("no batch of training data has a finite validation loss")
        if untrained is not None:
            self._untrained.losses = [loss for loss, is_fine in zip(first, fine, strict=True) if is_fine]
            if val.batches:
                validated = self._measure_losses(untrained.copy, val.batches)
                _check_varies([*self._untrained.losses, *validated])
                self.footing = compare_untrained(self._untrained.losses, validated, (kept.size, val.size))
                self._tell_that_levels_differ(validated)
        elif self._saved and len(self._saved["last"] or ()) == len(kept.batches):
            self.clean.load_state_dict(self._saved)
        val.batches, self._chosen = [], True
        self._untrained.forget()

    def _compare(self, losses: Sequence[float], known: Mapping[str, float]) -> dict[str, float | None]:
        scale = self.monitored.sign * self.footing.factor
        val = [self.monitored.loss(loss) for loss in self._losses.losses()] or [known["val_loss"]]
        signals: dict[str, float | None] = {**self.clean.signals([scale * loss for loss in losses], val)}
        if not self.footing.levels:
            signals.pop("gap_z", None)
        elif self._untrained.losses:
            signals["trivial_loss"] = scale * mean_and_error(self._untrained.losses)[0]
        return signals

    def _training_loss(
        self, copies: Copies, losses: Sequence[float], known: Mapping[str, float]
    ) -> dict[str, float | None]:
        """Return the training loss in units of validation, if it has to be measured; None where it is meaningless."""
        if not self.footing.levels:
            return {"train_loss": None}
        batches, scale = self._batches.train.batches, self.monitored.sign * self.footing.factor
        known = {} if self.monitored.sign < 0 else known
        own = self._own.signals(
            losses, lambda places: self._measure_losses(copies, [batches[place] for place in places], True), known
        )
        return {name: scale * value for name, value in own.items()}

    def _stand_in_signals(self, val_loss: float) -> Mapping[str, float | None]:
        """Return the signals of the stand-in; a loss says nothing about a score."""
        if self.monitored.sign < 0:
            return {"train_loss": None}
        return self._stand_in.signals(val_loss, self._losses.losses())

    def _measure_losses(self, copies: Copies, batches: Sequence[Any], noise: bool = False) -> list[float]:
        assert self.monitored.name is not None
        return losses_of_batches(copies, batches, self.monitored.name, self._batches.loader, noise)

    def _tell_that_levels_differ(self, validated: Sequence[float]) -> None:
        if not self.footing.levels and self._untrained.losses:
            rank_zero_info(
                f"{self.monitored.name} of the untrained network is {mean_and_error(validated)[0]:.4g} on validation "
                f"data and {mean_and_error(self._untrained.losses)[0]:.4g} on training data, in batches of "
                f"{self._batches.val.size} and {self._batches.train.size}: only how fast each falls is compared"
            )

    def _try(self, measure: Callable[[], Any]) -> Any:
        """Return what ``measure`` does; where it raises, warn once and measure nothing from then on."""
        try:
            return measure()
        except Exception as error:  # the user's own code runs in there
            self.lacks = f"{type(error).__name__}: {error}".splitlines()[0]
            self._untrained.forget()
            rank_zero_warn(
                f"the validation loss of training data cannot be measured ({self.lacks}); the rates are steered by the "
                "training loss with dropout on and the validation loss"
            )
        return None


def _check_varies(losses: Sequence[float]) -> None:
    """Raise where an untrained network has one loss for all data; an accuracy may be 0, or 1, everywhere."""
    if max(losses) - min(losses) <= 1e-6 * abs(losses[0]) and losses[0] not in (0.0, 1.0):
        raise ValueError("validation_step gives the same loss whichever data it gets, as with masks of one graph")


def _batches_needed(most: int, size: int | None) -> int:
    """Return how many batches of ``size`` are measured, at most ``most``."""
    return most if not size else min(most, max(FEWEST, math.ceil(EXAMPLES / size)))
