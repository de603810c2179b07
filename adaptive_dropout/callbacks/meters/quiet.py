"""Running a LightningModule's own steps aside from the run: nothing is logged, and no metric is updated."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from adaptive_dropout.callbacks.losses import loss_in
from adaptive_dropout.signals.aside import evaluating, replaced

__all__ = [
    "check_differentiable",
    "quiet",
    "quiet_training_loss",
    "quiet_validation_loss",
    "quiet_validation_losses",
]


def quiet_validation_loss(
    trainer: L.Trainer, pl_module: L.LightningModule, monitor: str, batches: list[Any]
) -> list[float]:
    """Return `quiet_validation_losses` of ``batches``, brought to their device, as numbers."""
    on_device = [trainer.strategy.batch_to_device(batch, dataloader_idx=0) for batch in batches]
    with torch.no_grad():
        return [float(loss) for loss in quiet_validation_losses(trainer, pl_module, monitor, on_device)]


def quiet_validation_losses(
    trainer: L.Trainer, pl_module: L.LightningModule, monitor: str, batches: list[Any]
) -> list[Tensor]:
    """Return what ``validation_step`` logs as ``monitor`` for each of ``batches``, with dropout off.

    They have a gradient where that is on.

    Raises:
        ValueError: ``validation_step`` does not log it as a number.
    """
    heard: list[Tensor] = []

    def log(name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        if name == monitor and isinstance(value, (Tensor, float)):
            heard.append(torch.as_tensor(value))

    def log_dict(values: Any, *args: Any, **kwargs: Any) -> None:
        for name, value in {} if isinstance(values, MetricCollection) else values.items():
            log(name, value)

    aside = replaced(pl_module, log=log, log_dict=log_dict)
    with evaluating(pl_module), _muted(pl_module), aside, trainer.precision_plugin.val_step_context():
        for batch in batches:
            pl_module.validation_step(batch, *_numbers(pl_module.validation_step))
    if len(heard) != len(batches):
        raise ValueError(
            f"validation_step logs {monitor!r} {len(heard)} times for {len(batches)} batches; "
            f"measuring needs self.log({monitor!r}, loss) once in each, with a number"
        )
    return heard


def quiet_training_loss(trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> Tensor:
    """Return the loss of ``training_step``, with dropout on.

    Raises:
        ValueError: it returns none.
    """
    with quiet(pl_module), trainer.precision_plugin.train_step_context():
        output = pl_module.training_step(batch, *_numbers(pl_module.training_step))
    loss = loss_in(output)
    if loss is None:
        raise ValueError(
            f"training_step has to return its loss, a tensor, to be differentiated, but returned {output!r}"
        )
    return loss


def check_differentiable(trainer: L.Trainer, pl_module: L.LightningModule, signal: str) -> None:
    """Raise a ValueError unless ``signal`` can be measured with the steps of ``pl_module`` in this run."""
    if not pl_module.automatic_optimization:
        raise ValueError(
            f"the {signal} needs a training_step that returns one loss, but {type(pl_module).__name__} optimizes "
            "manually; use automatic optimization, or a rule such as RewindController()"
        )
    if trainer.precision in ("16-mixed", "16-true"):
        raise ValueError(
            f"the {signal} is too small for precision {trainer.precision!r}; use 'bf16-mixed' or '32-true'"
        )


def _numbers(step: Callable[..., Any]) -> list[int]:
    """Return the indices of batch and dataloader that ``step`` takes after the batch."""
    return [0 for name in ("batch_idx", "dataloader_idx") if name in inspect.signature(step).parameters]


@contextmanager
def quiet(pl_module: L.LightningModule) -> Iterator[None]:
    """Let ``pl_module`` log nothing, and no metric of it take anything in, for a while."""
    with _muted(pl_module), replaced(pl_module, log=_nothing, log_dict=_nothing):
        yield


@contextmanager
def _muted(pl_module: L.LightningModule) -> Iterator[None]:
    """Let no metric of ``pl_module`` take anything in for a while."""
    # Muted, not restored: metrics in a collection share their state, and an update with other data would undo that.
    with ExitStack() as stack:
        for module in pl_module.modules():
            if isinstance(module, (Metric, MetricCollection)):
                stack.enter_context(replaced(module, update=_nothing, forward=_nothing))
        yield


def _nothing(*_: Any, **__: Any) -> None: ...
