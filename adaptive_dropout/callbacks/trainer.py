"""What callbacks ask a Trainer: how long the run is, where its files go, when it logs, and what validation measures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning import __version__
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from adaptive_dropout.callbacks.packages import both, callbacks_of

__all__ = [
    "as_validated",
    "averages",
    "batches_between_validations",
    "best_checkpoint",
    "expected_validations",
    "interval_for",
    "known_steps",
    "log_numbers",
    "logged_metrics",
    "logging_step",
    "logs_now",
    "names_of_result",
    "passes_over_data",
    "private",
    "run_dir",
    "steps_done",
]


def steps_done(trainer: L.Trainer) -> int:
    """Return the optimizer steps so far; under manual optimization the training batches.

    Lightning counts the steps of each optimizer there, two a batch for a GAN.
    """
    return trainer.global_step if trainer.lightning_module.automatic_optimization else _batches_done(trainer)


def known_steps(trainer: L.Trainer) -> int | None:
    """Return the steps of the whole run in the unit of `steps_done`; None where nothing but time or data ends it.

    Under manual optimization ``max_steps`` counts each optimizer, and how many steps a batch takes shows only in the
    batches done so far; ask between two batches.
    """
    if trainer.lightning_module.automatic_optimization:
        total = trainer.estimated_stepping_batches
    else:
        a_batch = max(trainer.global_step, 1) / max(_batches_done(trainer), 1)
        epochs = math.inf if trainer.max_epochs in (None, -1) else float(trainer.max_epochs or 0)
        limit = math.inf if trainer.max_steps == -1 else trainer.max_steps / a_batch
        total = min(trainer.num_training_batches * epochs, limit)
    # For data of unknown length Lightning answers with max_steps, -1 where it is not set.
    return int(total) if 0 <= total < math.inf else None


def passes_over_data(trainer: L.Trainer) -> float | None:
    """Return how often the run shows each training example in the mean; None where that cannot be counted.

    It counts the examples of the dataset, so that a sampler which draws some of them is not taken for all.
    """
    batches, loader = _known_batches(trainer), trainer.train_dataloader
    if batches is None or not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return None
    limit = trainer.limit_train_batches  # under which each epoch may show the same few examples
    if isinstance(limit, int) or limit != 1.0:
        return None
    size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None)
    try:
        examples = len(loader.dataset)  # type: ignore[arg-type]
    except (TypeError, NotImplementedError):
        return None
    return batches * size * trainer.world_size / examples if isinstance(size, int) and examples > 0 else None


def expected_validations(trainer: L.Trainer) -> int | None:
    """Return how often the run validates; None where it is not known before it ends."""
    batches, between = _known_batches(trainer), trainer.val_check_batch
    if batches is None or between is None or math.isinf(between):
        return None
    every = trainer.check_val_every_n_epoch
    if every is None or math.isinf(trainer.num_training_batches):
        return int(batches / between)
    return int(batches / trainer.num_training_batches / every) * int(trainer.num_training_batches / between)


def batches_between_validations(trainer: L.Trainer) -> int:
    """Return how many training batches one validation interval has; a million where time decides."""
    between = float(trainer.val_check_batch or math.inf) * (trainer.check_val_every_n_epoch or 1)
    return 10**6 if math.isinf(between) else max(1, int(between))


def interval_for(trainer: L.Trainer, validations: int) -> int:
    """Return the ``val_check_interval``, in batches, with which the run validates this often or a little more."""
    batches, every = _known_batches(trainer) or 1.0, trainer.check_val_every_n_epoch
    if every is None or math.isinf(trainer.num_training_batches):
        return max(1, int(batches / validations))
    an_epoch = math.ceil(validations * every * trainer.num_training_batches / batches)
    return max(1, int(trainer.num_training_batches / an_epoch))


def run_dir(trainer: L.Trainer) -> Path:
    """Return the folder of the run: its first logger's, where Lightning's checkpoints go too, or the trainer's."""
    if not trainer.loggers:
        return Path(trainer.default_root_dir)
    logger = trainer.loggers[0]
    version = logger.version if isinstance(logger.version, str) else f"version_{logger.version}"
    return Path(logger.save_dir or trainer.default_root_dir, str(logger.name), version)


def best_checkpoint(trainer: L.Trainer) -> Path | None:
    """Return the best checkpoint of the run, or None where none was kept."""
    checkpoint = trainer.checkpoint_callback
    path = checkpoint.best_model_path if isinstance(checkpoint, both(ModelCheckpoint)) else ""
    # A resumed run has the path from the checkpoint, whoever wrote it; Lightning would fetch and unpickle an address.
    return Path(path) if path and not path.startswith("http") else None


def logs_now(trainer: L.Trainer) -> bool:
    """Tell whether the trainer logs the training batch that has just been done, as ``log_every_n_steps`` says."""
    return bool(private(private(trainer, "_logger_connector"), "should_update_logs"))


def logging_step(trainer: L.Trainer) -> int:
    """Return the step at which ``LightningModule.log`` would log now: ``global_step`` is one to the right of it."""
    return int(private(trainer.fit_loop.epoch_loop, "_batches_that_stepped"))


def log_numbers(trainer: L.Trainer, numbers: Mapping[str, float]) -> None:
    """Give ``numbers`` to every logger at the step of the training batch.

    ``LightningModule.log`` takes a third of a millisecond for each, and is refused at the end of a validation.
    """
    for logger in trainer.loggers:
        logger.log_metrics(dict(numbers), step=logging_step(trainer))


def logged_metrics(trainer: L.Trainer) -> dict[str, Any]:
    """Return how each metric of the validation that is ending was logged, by its name in ``callback_metrics``.

    ``callback_metrics`` itself still holds what earlier validations logged.
    """
    results = private(trainer, "_results")
    fresh = [item for item in results.values() if not item.has_reset and item.meta.on_epoch]
    return {name: item for item in fresh for name in names_of_result(results, item)}


def names_of_result(results: Any, item: Any) -> tuple[str, ...]:
    """Return the names under which ``callback_metrics`` holds a logged ``item`` of the trainer's ``results``."""
    names: tuple[str, ...] = private(results, "_forked_name")(item, False)
    return names


def averages(trainer: L.Trainer) -> list[nn.Module]:
    """Return the averaged models of `WeightAveraging`, which validation measures in place of the trained one.

    A rewind brings them back with the weights, and what is compared with the validation loss is measured on them.
    """
    models = [private(callback, "_average_model") for callback in callbacks_of(trainer, WeightAveraging)]
    return [model for model in models if model is not None]


@contextmanager
def as_validated(trainer: L.Trainer, pl_module: L.LightningModule) -> Iterator[None]:
    """Temporarily put the weights that validation measures into the model."""
    with ExitStack() as undo:
        for callback in callbacks_of(trainer, WeightAveraging):
            callback.on_validation_epoch_start(trainer, pl_module)
            undo.callback(callback.on_validation_epoch_end, trainer, pl_module)
        yield


def private(owner: object, name: str) -> Any:
    """Return the attribute ``name`` of an object of Lightning's, which its next version may not have.

    Raises:
        RuntimeError: this version does not have it.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        raise RuntimeError(
            f"{type(owner).__name__} of lightning {__version__} has no {name!r}, which adaptive_dropout reads; "
            "install lightning 2.6, or a newer adaptive_dropout"
        ) from None


def _known_batches(trainer: L.Trainer) -> float | None:
    """Return the training batches of the whole run; the last optimizer step of an epoch may have fewer."""
    steps, an_epoch = known_steps(trainer), trainer.num_training_batches
    if steps is None or math.isinf(an_epoch):
        return None if steps is None else float(steps * trainer.accumulate_grad_batches)
    return steps / math.ceil(an_epoch / trainer.accumulate_grad_batches) * an_epoch


def _batches_done(trainer: L.Trainer) -> int:
    """Return the training batches that were stepped on; unlike ``total_batch_idx``, without the one that has begun."""
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.total
    return int(progress.processed)
