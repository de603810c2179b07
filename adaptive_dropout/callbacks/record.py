"""Writes a decision down: every number of the state, and every signal that it was made on, to be replayed."""

from __future__ import annotations

import lightning.pytorch as L

from adaptive_dropout.controllers import State
from adaptive_dropout.tracking.names import CONTROL, metric_keys, rate_keys, state_metrics

__all__ = ["record"]


def record(trainer: L.Trainer, state: State, signals: dict[str, float]) -> None:
    """Log the rates as ``dropout/<rate>``, the rest of ``state`` and the signals as ``dropout_control/<name>``.

    Metrics that the model logs itself, by which a controller can also steer, keep the names they have.
    """
    keys = rate_keys(state.rates)
    metrics = {keys[name]: p for name, p in state.rates.items()} | state_metrics(state)
    own = {"val_loss", "train_loss"} | signals.keys() - trainer.callback_metrics.keys()
    metrics |= {key: signals[name] for name, key in metric_keys(CONTROL, sorted(own & signals.keys())).items()}
    if "train_loss" in signals:
        metrics[f"{CONTROL}/gap"] = signals["val_loss"] - signals["train_loss"]
    # LightningModule.log is refused here; global_step would put the point one to the right of the training step's.
    step = trainer.fit_loop.epoch_loop._batches_that_stepped
    for logger in trainer.loggers:
        logger.log_metrics(metrics, step=step)
