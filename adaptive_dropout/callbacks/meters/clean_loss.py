"""Measures the clean loss in any LightningModule: its own validation, run aside on a fixed part of the training data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from adaptive_dropout.callbacks.batch_losses import BatchLosses
from adaptive_dropout.callbacks.isolated import IsolatedValidation, losses_of_batches
from adaptive_dropout.callbacks.meters.base import Meter
from adaptive_dropout.callbacks.meters.kept import RunBatches
from adaptive_dropout.callbacks.monitored import Monitored
from adaptive_dropout.callbacks.run_length import batches_between_validations
from adaptive_dropout.controllers import State
from adaptive_dropout.signals import CleanLoss
from adaptive_dropout.signals.clean_loss import in_errors
from adaptive_dropout.signals.footing import Footing, compare_untrained, differs, mean_and_error

__all__ = ["CleanLossMeter"]

EXAMPLES = 512
FEWEST, MOST = 4, 16  # batches: a standard error of fewer says little
SHARE = 0.25  # of the batches between two validations: forward only, that is 8 % of the run's gradient evaluations
CHECKED = (2, 3, 10, 20, 40, 80)  # the decisions at which the training loss is compared with validation's own

Copies = Callable[[], IsolatedValidation]


class CleanLossMeter(Meter):
    """The signals of `CleanLoss` in a Lightning run, and ``trivial_loss``, the loss before any training.

    The fixed part of the training data are the first batches of the run, whole, as they left their loader. They are
    validated as Lightning would, on a copy of the module in a trainer of its own (`callbacks.isolated`), so that the
    run does not notice. After a resume they are others.

    The losses are compared only where they can be (`signals.footing`). Where ``training_step`` returns another loss than
    validation logs, or none, ``train_loss`` is measured here, on validation's terms with dropout on. Where nothing can
    be measured, the training loss with dropout on stands in for the clean one, and that is said once.

    Args:
        monitored: as in `Meter`.
    """

    def __init__(self, monitored: Monitored) -> None:
        super().__init__(monitored)
        self.clean = CleanLoss()
        self.footing = Footing()
        self._trivial: list[float] | None = None
        self._untrained: IsolatedValidation | None = None
        self._first_train_loss: float | None = None
        self._decisions = 0
        self._measures_train_loss = False
        self._noisy_before: tuple[int, float] | None = None
        self._lacks = ""
        self._marked_train: tuple[float, float] | None = None
        self._train: tuple[float, float] | None = None

    def start(self, trainer: L.Trainer, pl_module: L.LightningModule, batches: RunBatches) -> None:
        """Ask for the batches."""
        self._batches = batches
        self._losses = BatchLosses("")
        if self._lacks:
            return
        affordable = max(2, round(SHARE * batches_between_validations(trainer)))
        batches.train.most = min(MOST, affordable)
        if self._trivial is None:
            batches.val.most = FEWEST

    def before_batch(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> None:
        """Keep a copy of the untrained network, to be measured at the first decision."""
        kept = self._batches.train
        if kept.size:
            kept.most = min(kept.most, max(FEWEST, math.ceil(EXAMPLES / kept.size)))
        if self._trivial is None and self._untrained is None and not self._lacks:
            self._try(lambda: self._keep_untrained(trainer, pl_module))

    def validation_begins(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forget the losses of the last validation."""
        self._losses = BatchLosses(self.monitored.name or "")

    def after_validation_batch(self, trainer: L.Trainer) -> None:
        """Take in the loss of this batch."""
        self._losses.add(trainer)

    def signals(
        self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]
    ) -> dict[str, float | None]:
        """Return the signals, measured now."""
        self._decisions += 1
        if "train_loss" in known:
            self._train = known["train_loss"], known.get("train_loss_error", 0.0)
            if self._first_train_loss is None:
                self._first_train_loss = known["train_loss"]
        found: dict[str, float | None] = {}
        if not self._lacks:
            found = self._try(lambda: self._measure(trainer, pl_module, known)) or {}
        if self._lacks:
            found = self._stand_in(known)
        return found if self.footing.levels else {**found, "train_loss": None}

    def decided(self, state: State) -> None:
        """Compare with the losses of the best validation."""
        if state.improved:
            self.clean.mark()
            self._marked_train = self._train

    def finish(self) -> None:
        """Let the copy and the batches go."""
        self._untrained = None

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know: numbers, no examples."""
        return {
            "trivial": self._trivial, "footing": list(self.footing), "first_train_loss": self._first_train_loss,
            "decisions": self._decisions, "measures_train_loss": self._measures_train_loss, "lacks": self._lacks,
            "marked_train": self._marked_train,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken, with other batches."""
        self._trivial, self.footing = state["trivial"], Footing(*state["footing"])
        self._first_train_loss, self._decisions = state["first_train_loss"], state["decisions"]
        self._measures_train_loss, self._lacks = state["measures_train_loss"], state["lacks"]
        self._marked_train = state["marked_train"] and tuple(state["marked_train"])

    def _keep_untrained(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._untrained = IsolatedValidation(trainer, pl_module)

    def _measure(
        self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]
    ) -> dict[str, float | None]:
        kept = self._batches.train
        if self._batches.error or (not kept.batches and self._decisions > 1):
            raise ValueError(self._batches.error or "no batch of training data was seen")
        if len(kept.batches) < min(2, kept.most) and self._decisions < FEWEST:
            return {}  # a batch between two validations: the next one comes
        kept.most = len(kept.batches)
        if self._untrained is not None:
            self._measure_untrained(self._untrained)
            self._untrained = None
        copies = partial(IsolatedValidation, trainer, pl_module)
        losses = self._on_kept(copies)
        if not losses:
            raise ValueError("the validation loss of every batch kept is NaN or infinite")
        self._check_not_validation(losses, known["val_loss"])
        if self._trivial and self._first_train_loss is not None and self._train is not None and len(losses) == len(self._trivial):
            self.monitored.observe(self._trivial, losses, (self._first_train_loss, self._train[0]))
        return {**self._compared(losses, known), **self._own_train_loss(copies, losses, known)}

    def _compared(self, losses: list[float], known: Mapping[str, float]) -> dict[str, float]:
        sign, factor = self.monitored.sign, self.footing.factor
        clean = [sign * factor * loss for loss in losses]
        val = [self.monitored.loss(loss) for loss in self._losses.losses()] or [known["val_loss"]]
        signals = self.clean.signals(clean, val)
        if not self.footing.levels:
            signals.pop("gap_z", None)
        elif self._trivial:
            signals["trivial_loss"] = sign * factor * mean_and_error(self._trivial)[0]
        return signals

    def _measure_untrained(self, untrained: IsolatedValidation) -> None:
        """Measure the loss before any training, and compare it with that on validation data."""
        kept, val = self._batches.train, self._batches.val
        trivial = losses_of_batches(untrained.copy, kept.batches, self._name, self._batches.loader)
        # A batch on which even the untrained network has no loss never has one.
        fine = [math.isfinite(loss) for loss in trivial]
        kept.batches = [batch for batch, is_fine in zip(kept.batches, fine, strict=True) if is_fine]
        kept.most = len(kept.batches)
        self._trivial = [loss for loss, is_fine in zip(trivial, fine, strict=True) if is_fine]
        val.most = 0
        if not val.batches or not self._trivial:
            return
        validated = losses_of_batches(untrained.copy, val.batches, self._name, self._batches.loader)
        self.footing = compare_untrained(self._trivial, validated, (kept.size, val.size))
        val.batches = []
        if not self.footing.levels:
            rank_zero_info(
                f"{self._name} of an untrained network is {mean_and_error(validated)[0]:.4g} on validation data and "
                f"{mean_and_error(self._trivial)[0]:.4g} on training data: only how fast each falls is compared"
            )

    def _own_train_loss(self, copies: Copies, losses: list[float], known: Mapping[str, float]) -> dict[str, float]:
        """Return ``train_loss`` on validation's terms, where that of ``training_step`` is not, or there is none."""
        comparable = "train_loss" in known and self.monitored.sign == 1
        if not self.footing.levels or (
            comparable and not self._measures_train_loss and self._decisions not in CHECKED
        ):
            return {}
        half = range(0, len(losses), 2) if len(losses) > 2 else range(len(losses))
        noisy = self._on_kept(copies, [self._batches.train.batches[i] for i in half], noise=True)
        if len(noisy) != len(half):
            return {}
        mean, error = mean_and_error(losses)
        cost = mean_and_error([loss - losses[i] for loss, i in zip(noisy, half, strict=True)])[0]
        own = mean + cost
        if comparable and not self._measures_train_loss:
            self._compare_train_loss(own, error, known)
        if comparable and not self._measures_train_loss:
            return {}
        return {"train_loss": self.monitored.sign * self.footing.factor * own}

    def _compare_train_loss(self, own: float, error: float, known: Mapping[str, float]) -> None:
        """See at two decisions in a row whether ``training_step`` returns what validation logs, on training data."""
        before, self._noisy_before = self._noisy_before, (self._decisions, own)
        if before is None or before[0] != self._decisions - 1:
            self._measures_train_loss = self._decisions > CHECKED[1] and differs(
                known["train_loss"], known.get("train_loss_error", 0.0), own, error
            )
        else:  # the training loss is a mean over the time between the two
            middle = (before[1] + own) / 2
            self._measures_train_loss = differs(known["train_loss"], known.get("train_loss_error", 0.0), middle, error)
        if self._measures_train_loss:
            rank_zero_info(
                f"training_step returns {known['train_loss']:.4g} where validation_step would log {own:.4g} with dropout "
                "on: another loss, so training is measured by validation's"
            )

    def _on_kept(self, copies: Copies, batches: list[Any] | None = None, noise: bool = False) -> list[float]:
        kept = self._batches.train.batches if batches is None else batches
        return losses_of_batches(copies, kept, self._name, self._batches.loader, noise)

    def _check_not_validation(self, losses: list[float], val_loss: float) -> None:
        mean = self.monitored.loss(mean_and_error(losses)[0])
        if abs(mean - val_loss) <= 1e-6 * abs(val_loss) and len(set(losses)) == 1:
            raise ValueError("validation_step gives the same loss whichever data it gets, as with masks of one graph")

    def _stand_in(self, known: Mapping[str, float]) -> dict[str, float | None]:
        """Return ``gap_z`` and ``clean_drop_z`` of the training loss with dropout on, which is above the clean one."""
        if self.monitored.sign < 0:
            return {"train_loss": None}
        if self._train is None:
            return {}
        loss, error = self._train
        val_error = mean_and_error(self._losses.losses() or [0.0])[1]
        signals: dict[str, float | None] = {"gap_z": in_errors(known["val_loss"] - loss, math.hypot(error, val_error))}
        if self._marked_train is not None:
            marked, marked_error = self._marked_train
            signals["clean_drop_z"] = in_errors(marked - loss, math.hypot(error, marked_error))
        return signals

    def _try(self, measure: Callable[[], Any]) -> Any:
        """Return what ``measure`` does; where it raises, say so once and do without from now on."""
        try:
            return measure()
        except Exception as error:  # the user's own code runs in there
            self._lacks = f"{type(error).__name__}: {error}".splitlines()[0]
            self._untrained = None
            rank_zero_warn(
                f"the validation loss of training data cannot be measured ({self._lacks}); the rates are steered by "
                "the training loss with dropout on and the validation loss"
            )
        return None

    @property
    def _name(self) -> str:
        assert self.monitored.name is not None
        return self.monitored.name
