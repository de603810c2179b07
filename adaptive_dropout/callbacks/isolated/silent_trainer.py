"""A second trainer in the state of the run's own, but without callbacks, loggers and other processes.

Each part that a validation writes to is its own; parts that are only read, such as the epoch, are the run's.
"""

from __future__ import annotations

import copy
from importlib import import_module
from typing import Any

import lightning.pytorch as L

from adaptive_dropout.callbacks.isolated.copying import Memo, copy_data_module, copy_module, copy_optimizers

__all__ = ["free", "silent_loggers", "silent_trainer"]

PACKAGES = ("lightning.pytorch.", "pytorch_lightning.")


def silent_trainer(trainer: L.Trainer, pl_module: L.LightningModule, moments: bool = False) -> L.Trainer:
    """Return a trainer whose ``lightning_module`` is a copy of ``pl_module``, ready to validate it as in ``fit``.

    ``trainer`` and ``pl_module`` stay as they are. Each logger is replaced by one that does nothing. The optimizers
    are those of the copied weights, with copies of their ``moments`` or with none.
    """
    run: Any = trainer
    ours: Any = copy.copy(trainer)
    memo: Memo = {id(trainer): ours} | dict(zip(map(id, run.loggers), silent_loggers(trainer), strict=True))
    ours.datamodule = None if run.datamodule is None else copy_data_module(run.datamodule, memo)
    module = copy_module(pl_module, memo)
    ours.callbacks = []
    validating = _find_class(run, "trainer.states", "RunningStage").VALIDATING
    ours.state = type(run.state)(fn=run.state.fn, status=run.state.status, stage=validating)
    ours.profiler = _find_class(run, "profilers", "PassThroughProfiler")()
    ours._loggers = [memo[id(logger)] for logger in run.loggers]
    ours._logger_connector = type(run._logger_connector)(ours)
    ours._logger_connector._callback_metrics = dict(run._logger_connector._callback_metrics)
    ours.limit_val_batches, ours.overfit_batches, ours.fast_dev_run = 1.0, 0, False
    ours.reload_dataloaders_every_n_epochs = 0
    ours._accelerator_connector = copy.copy(run._accelerator_connector)
    ours._accelerator_connector.strategy = _make_strategy(run, module, memo, moments)
    if ours.datamodule is not None:
        ours.datamodule.trainer = ours
    ours._data_connector = copy.copy(run._data_connector)
    ours._data_connector.trainer = ours
    ours._data_connector._datahook_selector = type(run._data_connector._datahook_selector)(module, ours.datamodule)
    ours.fit_loop = copy.copy(run.fit_loop)
    ours.fit_loop.trainer = ours
    ours.fit_loop.epoch_loop = copy.copy(run.fit_loop.epoch_loop)
    ours.fit_loop.epoch_loop.trainer = ours
    ours.fit_loop.epoch_loop._results = type(run.fit_loop.epoch_loop._results)(training=True)
    module.trainer = ours
    _reset_metrics(run, memo)
    return ours  # type: ignore[no-any-return]


def free(trainer: L.Trainer) -> None:
    """Break the reference cycles of a `silent_trainer` that is of no more use, so that its memory is freed at once.

    It, its loops and its module refer to each other. Python's garbage collector runs when thousands of objects have
    been made, and a decision makes few: dozens of copies of the network would lie in memory until then.
    """
    for part in (trainer.strategy, trainer):  # what was logged holds the strategy
        vars(part).clear()


def silent_loggers(trainer: L.Trainer) -> list[Any]:
    """Return a logger that does nothing for each of those of ``trainer``."""
    silent = _find_class(trainer, "loggers.logger", "DummyLogger")
    return [silent() for _ in trainer.loggers]


def _reset_metrics(run: Any, memo: Memo) -> None:
    """Empty the copies of metric objects: Lightning empties those of the run only after the hooks of its validation."""
    for item in run._results.values() if run._active_loop is not None and run._results else ():
        if not item.is_tensor and id(item.value) in memo:
            memo[id(item.value)].reset()


def _make_strategy(run: Any, module: L.LightningModule, memo: Memo, moments: bool) -> Any:
    """Return a strategy of one process on the run's device, in its precision, with copied optimizers."""
    theirs = run.strategy
    strategy = _find_class(run, "strategies", "SingleDeviceStrategy")(
        theirs.root_device, accelerator=theirs.accelerator, precision_plugin=theirs.precision_plugin
    )
    strategy._lightning_module = strategy.model = module
    strategy.optimizers = copy_optimizers(theirs.optimizers, memo, moments)
    strategy.lr_scheduler_configs = copy.deepcopy(theirs.lr_scheduler_configs, memo)
    strategy.global_rank, strategy.local_rank = theirs.global_rank, getattr(theirs, "local_rank", 0)
    return strategy


def _find_class(run: Any, module: str, name: str) -> Any:
    """Return a class of the package that the trainer ``run`` comes from: both packages have one of that name."""
    modules = (kind.__module__ for kind in type(run).__mro__)  # a user's own trainer may be first
    ours = next(name for name in modules if name.startswith(PACKAGES))
    return getattr(import_module(f"{ours.removesuffix('.trainer.trainer')}.{module}"), name)
