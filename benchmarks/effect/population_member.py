"""`Member`: one run of a population, which Ray Tune trains from validation to validation."""

from __future__ import annotations

import copy
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from ray import tune
from torch import Tensor
from torch.utils.data import DataLoader

from adaptive_dropout.processes import one_quiet_thread
from adaptive_dropout.rates import get_rates, set_rates
from benchmarks.effect.population import Start
from benchmarks.study.training import BestWeights, quiet_trainer
from benchmarks.supervised.method import Curves, Run

__all__ = ["Member", "load_results"]


class ResumableBatches:
    """The batches of a loader; the place in the epoch is part of Lightning's checkpoint.

    Resuming reads the batches again that the epoch has had.

    Args:
        loader: shuffles by a generator of its own.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._order = loader.generator
        self._begin: Tensor = self._order.get_state()
        self._given = self._skipped = 0

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        self._begin, self._given = self._order.get_state(), 0
        skipped, self._skipped = self._skipped, 0
        for batch in self._loader:
            self._given += 1
            if self._given > skipped:
                yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the generator's state before the epoch, and how many batches it has had."""
        if self._given == len(self):
            return {"begin": self._order.get_state(), "given": 0}
        return {"begin": self._begin, "given": self._given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the batches that ``state`` counts."""
        self._order.set_state(state["begin"])
        self._skipped = state["given"]


_RUN, _SEEN = "run.ckpt", "seen.pt"


class Member(tune.Trainable):
    """A run that continues from Lightning's own checkpoint, with the p that it gets whenever it begins or continues.

    If p never changes it equals, bit for bit, the run of a fixed p.
    """

    _run: Run
    _noise: list[Tensor]

    def setup(self, config: dict[str, Any], start: Start) -> None:  # type: ignore[override]  # by with_parameters
        """Begin at ``start``, with the p of ``config``."""
        one_quiet_thread()
        self._start = start
        self._begin(config["p"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin again as another member, whose checkpoint is loaded next."""
        self._begin(new_config["p"])
        return True

    def step(self) -> dict[str, float]:
        """Train up to the next validation; a loss that is not finite counts as infinite, and is never copied."""
        began = time.process_time()
        run, done, file = self._run, len(self._run.curves.val_losses), Path(self.logdir) / _RUN
        callbacks = [run.best, run.curves, _Checkpoint(file)]
        where = {"accelerator": run.accelerator, "default_root_dir": self.logdir}
        trainer = quiet_trainer(run.every, done + 1, callbacks, **where)
        batches = ResumableBatches(run.data.train_dataloader())
        _set_generators(self._noise)
        trainer.fit(run.model, batches, run.data.val_dataloader(), ckpt_path=file if done else None)
        self._noise = _generators()
        loss = run.curves.val_losses[-1]
        return {"val_loss": loss if math.isfinite(loss) else math.inf, "seconds": time.process_time() - began}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the files that `load_checkpoint` and `load_results` read."""
        shutil.copy(Path(self.logdir) / _RUN, checkpoint_dir)
        torch.save((self._run.best, self._run.curves, self._noise), Path(checkpoint_dir) / _SEEN)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Continue from the member that wrote the folder, whichever it is."""
        shutil.copy(Path(checkpoint) / _RUN, self.logdir)
        best, curves, self._noise = _read(checkpoint)
        self._run = replace(self._run, best=best, curves=curves)

    def _begin(self, p: float) -> None:
        self._run = copy.deepcopy(self._start.run)
        set_rates(self._run.model, dict.fromkeys(get_rates(self._run.model), p))
        torch.manual_seed(self._start.seed)  # for GPUs: a new process seeds them at random
        self._noise = [self._start.noise]


def load_results(folder: str) -> tuple[BestWeights, Curves]:
    """Return the best weights and the curves of the member that wrote ``folder``."""
    best, curves, _ = _read(folder)
    return best, curves


class _Checkpoint(L.Callback):
    """Writes a checkpoint at each validation; when training stops, Lightning would regard the epoch as finished."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write it."""
        trainer.save_checkpoint(self._file)


def _read(folder: str) -> tuple[BestWeights, Curves, list[Tensor]]:
    read: tuple[BestWeights, Curves, list[Tensor]] = torch.load(Path(folder) / _SEEN, weights_only=False)
    return read


def _generators() -> list[Tensor]:
    """Return the states of torch's generators, that of the CPU first."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states += torch.cuda.get_rng_state_all()
    return states


def _set_generators(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    for device, state in enumerate(states[1:]):
        torch.cuda.set_rng_state(state, device)
