"""Which metric steers a run, and whether less of it is better: from the user, other callbacks, or its values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info

from adaptive_dropout.callbacks.isolated import find_logged_metrics
from adaptive_dropout.callbacks.meters.batches import RunBatches
from adaptive_dropout.callbacks.packages import callbacks_of

__all__ = ["MonitorSearch", "Monitored"]

NEAR = 0.25  # of the first training loss
RISING = 3  # measurements in a row
USUAL = "val_loss"


class Monitored:
    """The metric that is the validation loss of a run.

    ``name`` is None until it is known, and ``found`` says whether a validation has logged it; ``sign`` is -1 for a
    score to be maximised, whose negative is then the loss, and ``sure`` says whether that is final.

    Args:
        monitor: the name that the user gave; None to find it.
        mode: "min" or "max" if the user said so.

    Raises:
        ValueError: ``mode`` is neither.
    """

    def __init__(self, monitor: str | None, mode: str | None = None) -> None:
        if mode not in ("min", "max", None):
            raise ValueError(f"mode has to be 'min', 'max' or None, to find it out, but got {mode!r}")
        self.name = monitor
        self.sign = -1 if mode == "max" else 1
        self.sure = mode is not None
        self.found = False
        self._rising = 0

    def find(self, trainer: L.Trainer, logged: Mapping[str, Any]) -> None:
        """Take the name from what a validation logged, if it is not known yet, and see whether it is to be maximised.

        It is the metric that ModelCheckpoint or EarlyStopping watch in mode "min", else "val_loss",
        else the only one whose name says that it is a loss, else the only metric.

        Args:
            trainer: of the run.
            logged: by name, how it was logged, where that is known.

        Raises:
            KeyError: the metric that the user named is not logged.
            ValueError: there are several that could be meant, or none.
        """
        watched = _find_watched(trainer)
        if self.name is None:
            self.name = _choose(list(logged), watched)
        elif self.name not in logged:
            raise KeyError(f"monitor {self.name!r} is not logged; the metrics at validation are {sorted(logged)}")
        self.found = True
        if self.sure:
            return
        modes = {mode for name, mode in watched if name == self.name}
        higher = getattr(getattr(logged[self.name], "value", None), "higher_is_better", None)
        if len(modes) == 1:
            self._settle(-1 if modes == {"max"} else 1, "as the callback that watches it says")
        elif higher is not None:
            self._settle(-1 if higher else 1, "as its metric says")
        elif "loss" in (self.name or "").lower():
            self._settle(1, "")

    def observe(self, before: Sequence[float], now: Sequence[float], training: tuple[float, float]) -> None:
        """See by its values on training data whether it falls or rises while the network learns.

        A loss cannot rise there while the loss of training falls; validation's own values could, by overfitting. It has
        to rise in three measurements in a row, since BatchNorm's statistics can lag behind at first.

        Args:
            before: the metric on each kept batch, of the untrained network.
            now: on the same ones, of the trained one.
            training: the first and the present training loss.
        """
        changes = [b - a for a, b in zip(before, now, strict=True)]
        mean = sum(changes) / len(changes)
        spread = math.sqrt(sum((change - mean) ** 2 for change in changes) / max(len(changes) - 1, 1) / len(changes))
        first, present = training
        if self.sure or abs(mean) <= 3 * spread or not present < first - 0.1 * abs(first):
            return
        if mean < 0:
            self._settle(1, "")
            return
        self._rising += 1
        same = abs(sum(before) / len(before) - first) <= 0.05 * abs(first)  # it is the loss that is trained on
        if self._rising >= RISING and (not same or max(map(abs, now)) <= 1):
            self._settle(-1, "as it rises on training data while the training loss falls")

    def comparable(self, untrained: Sequence[float], training: float | None) -> bool:
        """Tell whether it may be compared with the training loss: its sign is final, or both start near each other.

        Args:
            untrained: the metric on each kept batch, of the untrained network.
            training: the loss of the first training step, None where there is none.
        """
        if self.sure or training is None or not untrained:
            return self.sure
        return abs(sum(untrained) / len(untrained) - training) <= NEAR * abs(training)

    @property
    def loader(self) -> int:
        """Return the number of its validation loader, read from the metric's name; 0 without one."""
        number = (self.name or "").rpartition("/dataloader_idx_")[2]
        return int(number) if number.isdigit() else 0

    def loss(self, value: float) -> float:
        """Return what the rules take for the validation loss: the lower, the better."""
        return self.sign * value

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        kept = {"name": self.name, "found": self.found, "sign": self.sign, "sure": self.sure}
        return kept | {"rising": self._rising}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self.name, self.found, self.sign = state["name"], state["found"], state["sign"]
        self.sure, self._rising = state["sure"], state["rising"]

    def _settle(self, sign: int, why: str) -> None:
        self.sign, self.sure = sign, True
        if sign < 0:
            rank_zero_info(f"{self.name} is a score to be maximised, {why}: its negative is taken as validation loss")


class MonitorSearch:
    """Looks for the monitored metric in what validations log.

    Args:
        monitored: takes the name that is found.
    """

    def __init__(self, monitored: Monitored) -> None:
        self._monitored = monitored
        self._logged: dict[str, Any] = {}

    def after_sanity_check(self, logged: dict[str, Any]) -> None:
        """Remember what the sanity check logged; a module that names metrics by the stage logs others later."""
        self._logged = logged

    def before_training(self, trainer: L.Trainer, pl_module: L.LightningModule, batches: RunBatches) -> None:
        """Look in the sanity check, and, if it is not there, in a validation of a copy on the first training batch.

        Raises:
            KeyError: the metric that the user named is not logged.
            ValueError: there are several that could be meant, or none.
        """
        monitored = self._monitored
        if not monitored.found:
            if monitored.name is None or monitored.name not in self._logged:
                self._logged |= find_logged_metrics(trainer, pl_module, batches.train.batches[:1], monitored.loader)
            if self._logged:
                monitored.find(trainer, self._logged)
        batches.loader = monitored.loader

    def at_validation(self, trainer: L.Trainer, logged: dict[str, Any]) -> str:
        """Look in what a validation logged; return why it is not found, or ""."""
        if not self._monitored.found:
            try:
                self._monitored.find(trainer, logged)
            except (KeyError, ValueError) as error:
                return f"{error.args[0]}; until then the rates stay as they are"
        return ""


def _find_watched(trainer: L.Trainer) -> list[tuple[str, str]]:
    """Return ``(metric, mode)`` of the callbacks that choose by one."""
    choosing: list[Any] = callbacks_of(trainer, ModelCheckpoint, EarlyStopping)
    return [(callback.monitor, callback.mode) for callback in choosing if callback.monitor]


def _choose(logged: list[str], watched: list[tuple[str, str]]) -> str:
    named = list(dict.fromkeys(name for name, mode in watched if mode == "min" and name in logged))
    plain = [name for name in logged if not (name.endswith("_epoch") and name.removesuffix("_epoch") in logged)]
    losses = [name for name in plain if "loss" in name.lower()]
    for choice in (named, [USUAL] if USUAL in plain else [], losses, plain):
        if len(choice) == 1:
            return choice[0]
        if choice:
            break
    if not plain:
        raise ValueError("validation logs no metric to steer by; log its loss, as in self.log('val_loss', loss)")
    raise ValueError(f"validation logs {sorted(choice)}; say which of them is the loss, as in monitor={choice[0]!r}")
