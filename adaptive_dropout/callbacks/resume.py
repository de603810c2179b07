"""What a run that goes on from a checkpoint cannot do as the unbroken one would, said in one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_warn
from torch.utils.data import DataLoader

from adaptive_dropout.callbacks.trainer import steps_done

__all__ = ["tell_differences"]


def tell_differences(trainer: L.Trainer, measured: Iterable[str] = ()) -> None:
    """Warn of what Lightning does not bring back from this checkpoint; called when training starts, after it is loaded.

    Order: only a training loader with ``state_dict`` goes on in the middle of an epoch, and one with a generator of
    its own begins with that. Weights: gradients that were accumulated since the last optimizer step are in no
    checkpoint. Noise: a loader that begins anew draws from torch's generator, and its workers from theirs, unless it is
    one of `adaptive_dropout.data`. Decisions: the validation that was due at the step of a checkpoint is left out, if
    another version wrote the checkpoint: see `callbacks.due`.

    Args:
        trainer: of the run.
        measured: in what its measurements differ, each as part of a sentence.
    """
    lost = [*_differences(trainer), *measured]
    if lost:
        step = steps_done(trainer)
        rank_zero_warn(f"the run goes on from step {step}, but not as the unbroken one: {'; '.join(lost)}")


def _differences(trainer: L.Trainer) -> Iterator[str]:
    fit: Any = trainer.fit_loop
    epoch = fit.epoch_loop
    loaders = fit._combined_loader.flattened
    in_epoch = 0 < epoch.batch_progress.current.ready < trainer.num_training_batches
    if in_epoch and not all(hasattr(loader, "load_state_dict") for loader in loaders):
        yield "the epoch's order of batches begins anew, as the training loader has no state_dict"
    elif in_epoch and any(map(_draws_anew, loaders)):
        yield "the noise may differ, as the training loader draws anew from torch's generator or its workers do"
    elif not in_epoch and any(map(_draws_from_its_own, loaders)):
        yield "the order of batches is that of a new run, as no checkpoint holds the training loader's own generator"
    if in_epoch and epoch._should_accumulate():
        yield "the gradients accumulated since the last optimizer step are lost, so weights will differ"
    if epoch.restarted_on_train_batch_end and epoch._should_check_val_fx(fit._data_fetcher):
        yield "Lightning leaves out the validation that was due at this step"


def _draws_from_its_own(loader: object) -> bool:
    """Tell whether a loader without ``state_dict`` is ordered by a generator of its own, which its sampler then has."""
    own = getattr(getattr(loader, "sampler", None), "generator", None)
    return own is not None and not hasattr(loader, "load_state_dict")


def _draws_anew(loader: object) -> bool:
    """Tell whether a loader that brings back its place may not bring back what is drawn when it begins."""
    ours = getattr(type(loader), "in_memory", False)
    return isinstance(loader, DataLoader) and not ours and (loader.generator is None or loader.num_workers > 0)
