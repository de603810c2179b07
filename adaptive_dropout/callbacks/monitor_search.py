"""When the monitored metric is found: before the first batch is trained on if that can be, else at a validation."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L

from adaptive_dropout.callbacks.measure import logged_on
from adaptive_dropout.callbacks.meters.kept import RunBatches
from adaptive_dropout.callbacks.monitored import Monitored

__all__ = ["MonitorSearch"]


class MonitorSearch:
    """Looks for the monitored metric in what validations log.

    Args:
        monitored: is told where it is found.
    """

    def __init__(self, monitored: Monitored) -> None:
        self._monitored = monitored
        self._logged: dict[str, Any] = {}

    def sanity_checked(self, logged: dict[str, Any]) -> None:
        """The sanity check logged these; a module that names metrics after the stage logs others later."""
        self._logged = logged

    def before_training(self, trainer: L.Trainer, pl_module: L.LightningModule, batches: RunBatches) -> None:
        """Look in the sanity check, and in a validation of a copy on the first training batch where need be.

        Raises:
            KeyError: the metric that the user named is not logged.
            ValueError: there are several that could be meant, or none.
        """
        monitored = self._monitored
        if not monitored.found:
            if monitored.name is None or monitored.name not in self._logged:
                self._logged |= logged_on(trainer, pl_module, batches.train.batches[:1], monitored.loader)
            if self._logged:
                monitored.find(trainer, self._logged)
        batches.loader = monitored.loader

    def at_validation(self, trainer: L.Trainer, logged: dict[str, Any]) -> str:
        """Look in what a validation logged; return what is wrong where it is not found, else ""."""
        if not self._monitored.found:
            try:
                self._monitored.find(trainer, logged)
            except (KeyError, ValueError) as error:
                return f"{error.args[0]}; until then the rates stay as they are"
        return ""
