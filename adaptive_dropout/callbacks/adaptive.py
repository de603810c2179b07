"""`AdaptiveDropout`: the one line that replaces the grid search over dropout rates."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_only
from rich import get_console
from rich.table import Table

from adaptive_dropout.callbacks.control import DropoutRateControl
from adaptive_dropout.callbacks.trainer import averages, best_checkpoint
from adaptive_dropout.controllers import Controller, RestartController
from adaptive_dropout.conversion.found import find
from adaptive_dropout.conversion.swap import adapt

__all__ = ["AdaptiveDropout"]


class AdaptiveDropout(DropoutRateControl):
    """Finds the dropout layers of any LightningModule, steers their rates, and leaves the best weights in the model.

    What `adaptive_dropout.convert` reaches is made adjustable before the optimizers exist; this library's stays. All
    rates start at ``start``, so it does not matter which rates the model was built with. A second ``fit`` of the same
    model goes on from the rates that the first one found. Put it in front of callbacks that copy or average the model.
    Under `WeightAveraging` the best weights are the average that validation measured. If an exception ends the run, the
    model keeps its last weights; a checkpoint saved on the exception holds the best.

    Args:
        controller: the rule; `RestartController` by default.
        monitor, folder, mode: as in `DropoutRateControl`.
        start: the p in [0, 1] at which the default rule starts; ``"model"`` starts where the model is. By default it is
            .2, or .001 where the run shows no training example twice.

    Raises:
        ValueError: ``start`` is out of range, or given beside a ``controller``, which has its own.
        TypeError, ValueError, KeyError, OSError: as `DropoutRateControl`.
    """

    remedy: ClassVar[str] = "give it nn.Dropout layers; adaptive_dropout.inventory(model) shows what is out of reach"

    def __init__(
        self,
        controller: Controller | None = None,
        monitor: str | None = None,
        folder: str | Path | None = None,
        mode: str | None = None,
        start: float | str | None = None,
    ) -> None:
        if controller is None:
            controller = RestartController() if start is None else RestartController(start=start)
        elif start is not None:
            raise ValueError(
                f"start={start!r} is for the default rule; {type(controller).__name__} has a start of its own"
            )
        super().__init__(controller, monitor, folder, mode)
        self.start: dict[str, float] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Make the dropout of the model adjustable."""
        super().setup(trainer, pl_module, stage)
        adapt(pl_module, find(pl_module))

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make the layers adjustable that ``configure_model`` built since, in the averages of the model too."""
        for model in (pl_module, *averages(trainer)):
            adapt(model, find(model))
        super().on_fit_start(trainer, pl_module)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start, and remember the initial rates."""
        super().on_train_start(trainer, pl_module)
        assert self.state is not None
        self.start = dict(self.state.rates)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the best weights into the model and say what was found."""
        super().on_train_end(trainer, pl_module)
        self._say(trainer)

    def _leave_model(self) -> None:
        self._started_loop.finish()

    @rank_zero_only
    def _say(self, trainer: L.Trainer) -> None:
        assert self.state is not None
        best = getattr(self.state, "best", None)
        kept = "" if best is None else f", {self.monitored.name} {self.monitored.loss(best):.4g} kept"
        restarts, rewinds = (getattr(self.state, name, 0) for name in ("restarts", "rewinds"))
        title = f"dropout rates found, {restarts} restarts, {rewinds} rewinds{kept}"
        table = Table("rate", "start", "end", title=title, title_justify="left")
        for name, p in self.state.rates.items():
            table.add_row(name, f"{self.start[name]:.3f}", f"{p:.3f}")
        console = get_console()  # that of a progress bar, which stays below the table
        console.print(table)
        if path := best_checkpoint(trainer):
            console.print(f"checkpoint  {path}", soft_wrap=True, highlight=False)
