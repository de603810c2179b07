"""`MaxNorm`: weights within a ball, in any run."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L

from adaptive_dropout.callbacks.both import Callback
from adaptive_dropout.penalties import max_norm_

__all__ = ["MaxNorm"]


class MaxNorm(Callback):
    """Keeps the 2-norm of the weights into each unit or channel at ``norm`` or below, after every training batch.

    Dropout's usual companion: weights that cannot grow allow a high learning rate. Which weights, and why, says
    `adaptive_dropout.penalties.max_norm_`.

    Args:
        norm: above 0; 2 to 4 are usual in dense layers.

    Raises:
        ValueError: ``norm`` is not above 0; when training starts: the model has no weights to constrain.

    Source: Srivastava et al. (2014), section 5.1.
    """

    def __init__(self, norm: float = 3.0) -> None:
        if not norm > 0:
            raise ValueError(f"norm has to be above 0, but got {norm}")
        self.norm = norm

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Constrain the initial weights."""
        max_norm_(pl_module, self.norm)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Constrain the weights of this step."""
        max_norm_(pl_module, self.norm)
