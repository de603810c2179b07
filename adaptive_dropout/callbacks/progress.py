"""`DropoutProgressBar`: Lightning's rich progress bar with the rates, the gap and the decisions of a run."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import lightning.pytorch as L
from rich.progress import BarColumn

from adaptive_dropout.callbacks.control import DropoutRateControl
from adaptive_dropout.callbacks.monitor import DropoutRateMonitor
from adaptive_dropout.callbacks.packages import RichProgressBar, callbacks_of
from adaptive_dropout.callbacks.trainer import steps_done
from adaptive_dropout.controllers import State
from adaptive_dropout.tracking.shown import shown

__all__ = ["DropoutProgressBar"]


class DropoutProgressBar(RichProgressBar):
    """Shows the mean rate, the gap at the last validation and the last decision; a rewind gets a line that stays.

    The mean rate and the gap come from a `DropoutRateMonitor`, the decisions from a `DropoutRateControl` placed before
    this bar in the callbacks; without them it is a `RichProgressBar`. Colours and moving lines are left out where
    the output is not a terminal.

    Args:
        refresh_rate, leave: as in `RichProgressBar`.
    """

    def __init__(self, refresh_rate: int = 100, leave: bool = False) -> None:
        super().__init__(refresh_rate, leave)
        self._states: dict[str, State] = {}
        self._decision = ""

    def configure_columns(self, trainer: L.Trainer) -> list[Any]:
        """Leave the width to the metrics: a shorter bar, and no speed beside the time."""
        *columns, _speed = super().configure_columns(trainer)
        for column in columns:
            if isinstance(column, BarColumn):
                column.bar_width = 12
        return columns

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Return what is shown, by name."""
        metrics: dict[str, Any] = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        for monitor in callbacks_of(trainer, DropoutRateMonitor):
            if (gap := _gap(monitor)) is not None:
                metrics["gap"] = gap
        return metrics | ({"decision": self._decision} if self._decision else {})

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remember what the rates start from."""
        super().on_train_start(trainer, pl_module)
        controls = callbacks_of(trainer, DropoutRateControl)
        self._states = {control.state_key: control.state for control in controls if control.state is not None}
        self._decision = ""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show what was decided."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            for control in callbacks_of(trainer, DropoutRateControl):
                self._follow(control, steps_done(trainer))
        super().on_validation_end(trainer, pl_module)

    def _follow(self, control: DropoutRateControl, step: int) -> None:
        before, now = self._states.get(control.state_key), control.state
        if before is None or now is None or now is before:
            return
        self._states[control.state_key] = now
        self._decision = _describe(before, now)
        if (now.rewind or now.restart) and self.progress is not None and self.is_enabled:
            self.progress.console.print(f"step {step}: {shown(now.reason)}", markup=False, highlight=False)


def _describe(before: State, now: State) -> str:
    old, new = fmean(before.rates.values()), fmean(now.rates.values())
    moved = "raised" if new > old else "lowered" if new < old else "kept"
    return "restarted, " * now.restart + "rewound, " * now.rewind + moved


def _gap(monitor: DropoutRateMonitor) -> float | None:
    losses = monitor.history.losses()
    _, train_loss, val_loss = losses[-1] if losses else (0, None, 0.0)
    return None if train_loss is None else val_loss - train_loss
