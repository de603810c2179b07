"""Running a LightningModule's ``validation_step`` aside from the run: nothing is logged, and no metric is updated."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

__all__ = ["quiet_validation_loss", "replaced"]


def quiet_validation_loss(
    trainer: L.Trainer, pl_module: L.LightningModule, monitor: str, batches: list[Any]
) -> list[float]:
    """Return what ``validation_step`` logs as ``monitor`` for each of ``batches``, with dropout off and no gradient.

    Raises:
        ValueError: ``validation_step`` does not log it as a number.
    """
    heard: list[Tensor] = []

    def log(name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        if name == monitor and isinstance(value, (Tensor, float)):
            heard.append(torch.as_tensor(value).detach())

    def log_dict(values: Any, *args: Any, **kwargs: Any) -> None:
        for name, value in {} if isinstance(values, MetricCollection) else values.items():
            log(name, value)

    takes_idx = "dataloader_idx" in inspect.signature(pl_module.validation_step).parameters
    step = {"dataloader_idx": 0} if takes_idx else {}
    aside = replaced(pl_module, log=log, log_dict=log_dict)
    with _evaluating(pl_module), aside, torch.no_grad(), trainer.precision_plugin.val_step_context():
        for batch in batches:
            on_device = trainer.strategy.batch_to_device(batch, dataloader_idx=0)
            pl_module.validation_step(on_device, 0, **step)
    if len(heard) != len(batches):
        raise ValueError(
            f"validation_step logs {monitor!r} {len(heard)} times for {len(batches)} batches; "
            f"the clean loss needs self.log({monitor!r}, loss) once in each, with a number"
        )
    return [float(loss) for loss in heard]


@contextmanager
def replaced(module: nn.Module, **attributes: Any) -> Iterator[None]:
    """Give ``module`` other attributes for a while."""
    before = {name: module.__dict__[name] for name in attributes if name in module.__dict__}
    module.__dict__.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del module.__dict__[name]
        module.__dict__.update(before)


@contextmanager
def _evaluating(pl_module: nn.Module) -> Iterator[None]:
    training = [module for module in pl_module.modules() if module.training]
    muted = [module for module in pl_module.modules() if isinstance(module, (Metric, MetricCollection))]
    # Muted, not restored: metrics in a collection share their state, and an update with other data would undo that.
    restore = [replaced(metric, update=_nothing, forward=_nothing) for metric in muted]
    pl_module.eval()
    try:
        for context in restore:
            context.__enter__()
        yield
    finally:
        for context in reversed(restore):
            context.__exit__(None, None, None)
        for module in training:
            module.training = True


def _nothing(*_: Any, **__: Any) -> None: ...
