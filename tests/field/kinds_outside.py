"""Modules that write, print, warn or hold what cannot be copied, and losses that depend on the batch as a whole."""

from __future__ import annotations

import logging
import threading
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.field.harness import Kind
from tests.field.parts import FEATURES, Plain, loaders, mlp

log = logging.getLogger("users.module")


class Prints(Plain):
    # every second notebook
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        print(f"epoch {self.current_epoch} batch {batch_idx} mean {float(batch[0].mean()):.4f}")  # noqa: T201
        self.print("printed by Lightning", batch_idx)


class Warns(Plain):
    # sklearn's and torchmetrics' warnings of empty classes: each place once, and once for each text
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        warnings.warn("a class has no example", stacklevel=1)
        warnings.warn(f"the first label is {int(batch[1][0])}", stacklevel=1)
        warnings.warn_explicit(f"batch {batch_idx}", UserWarning, "module.py", 1)


class Logs(Plain):
    # hydra projects: a logger of Python's for each module
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        log.warning("epoch %d batch %d of %d examples", self.current_epoch, batch_idx, len(batch[0]))


class WritesFile(Plain):
    # predictions of each validation as a text file, opened for appending by each batch
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "users-predictions.csv"

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        with self.path.open("a") as file:
            file.write(f"{self.current_epoch},{batch_idx},{self(batch[0]).argmax(1).tolist()}\n")


class WritesAtEnd(Plain):
    # the same at the end of a validation, by torch.save and pathlib
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.means = folder, []

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        self.means.append(float(batch[0].mean()))

    def on_validation_epoch_end(self) -> None:
        (self.folder / f"users-{self.current_epoch}.txt").write_text(str(self.means))
        torch.save(self.means, self.folder / f"users-{self.current_epoch}.pt")


class SavesNumpy(WritesFile):
    # features for a later plot, by numpy
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("val_loss", self.loss(batch))
        number = len(list(self.path.parent.glob("users*.npy")))
        with (self.path.parent / f"users{number}.npy").open("wb") as file:
            file.write(batch[0].numpy().tobytes())


class OpenFile(Plain):
    # a journal that is opened once and written to as long as the module lives
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.journal = (folder / "users-journal.txt").open("w", buffering=1)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        self.journal.write(f"{self.current_epoch} {batch_idx} {float(batch[0].sum()):.6f}\n")

    def on_fit_end(self) -> None:
        self.journal.close()


class OwnLock(Plain):
    # modules with a background writer
    def __init__(self) -> None:
        super().__init__()
        self.lock, self.again, self.lines = threading.Lock(), threading.RLock(), []

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        with self.lock, self.again:
            self.lines.append(batch_idx)
        super().validation_step(batch, batch_idx)


class DeepLock(Plain):
    # the same, within an object of its own
    def __init__(self) -> None:
        super().__init__()
        self.writer = _Writer()

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.writer.add(batch_idx)
        super().validation_step(batch, batch_idx)


class _Writer:
    def __init__(self) -> None:
        self.lock, self.lines = threading.Lock(), []

    def add(self, line: int) -> None:
        with self.lock:
            self.lines.append(line)


class OwnGenerator(Plain):
    # schedules as Python generators: a value is drawn in each step
    def __init__(self) -> None:
        super().__init__()
        self.weights = (1.0 / (1 + i) for i in range(10_000))

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("weight", next(self.weights))
        super().validation_step(batch, batch_idx)


class IteratorOfList(OwnGenerator):
    # the same by itertools, which can be copied
    def __init__(self) -> None:
        super().__init__()
        self.weights = iter([1.0 / (1 + i) for i in range(1000)])


class GraphKept(Plain):
    # features with their graph are kept in attributes, lists and dictionaries, to be used by a later hook
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = super().training_step(batch, batch_idx)
        self.last, self.all, self.named = loss * 2, [loss * 3], {"a": loss * 4}
        return loss


class DeepGraphKept(Plain):
    # the same within other containers
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = super().training_step(batch, batch_idx)
        self.named = {"a": {"b": [loss * 5]}, "c": [(loss, "x")]}
        return loss


class KeepsBatch(Plain):
    # Kaggle notebooks: the last batch is kept to be drawn
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.batch = batch
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        self.shown = {"batch": batch, "made": self(batch[0])}


class KeepsTrainer(Plain):
    # the trainer and one of its loops are put aside in a dictionary
    def on_fit_start(self) -> None:
        self.kept = {"trainer": self.trainer, "loop": self.trainer.fit_loop}

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        self.log("sanity", float(self.kept["trainer"].sanity_checking))
        self.log("position", float(self.kept["loop"].epoch_loop.batch_idx))


class KeepsOptimizer(Plain):
    # manual optimization: self.optimizers() is called once, and kept
    def on_fit_start(self) -> None:
        self.optimizer = self.optimizers()

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        self.log("rate", self.optimizer.param_groups[0]["lr"])


class KeepsOwnOptimizer(Plain):
    # the optimizer and its schedule are attributes from configure_optimizers on
    def configure_optimizers(self) -> Any:
        self.optimizer = torch.optim.Adam(self.parameters(), 0.01)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.9)
        return [self.optimizer], [self.schedule]

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        self.log("rate", self.schedule.get_last_lr()[0])


class Summed(Plain):
    # pytorch/examples, VAE: the loss is a sum over the batch
    def loss(self, batch: Any) -> Tensor:
        return F.cross_entropy(self(batch[0]), batch[1], reduction="sum")


class Contrastive(Plain):
    # SimCLR and CLIP: each other example of the batch is a negative, with a learned temperature
    def __init__(self) -> None:
        super().__init__(mlp(4))
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def loss(self, batch: Any) -> Tensor:
        first, second = (F.normalize(self.net(batch[0] + 0.1 * torch.randn_like(batch[0])), dim=1) for _ in range(2))
        return F.cross_entropy(self.scale.exp() * first @ second.T, torch.arange(len(first)))


class FailsOnTraining(Plain):
    # validation that only works for validation data, as a lookup of its file names does
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        known = {round(float(x.sum()), 4) for x, _ in self.trainer.val_dataloaders.dataset}
        assert all(round(float(x.sum()), 4) in known for x in batch[0]), "not an example of validation"
        super().validation_step(batch, batch_idx)


class ChangesGlobals(Plain):
    # settings of the process: default type, threads, print options, set once in a validation
    def on_validation_epoch_start(self) -> None:
        self.before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        assert batch[0].shape[1] == FEATURES


KINDS = [
    Kind("prints", lambda _: Prints(), loaders),
    Kind("warns", lambda _: Warns(), loaders),
    Kind("logs", lambda _: Logs(), loaders),
    Kind("writes_file", WritesFile, loaders, measurable=False),
    Kind("writes_at_end", WritesAtEnd, loaders, measurable=False),
    Kind("saves_numpy", SavesNumpy, loaders, measurable=False),
    Kind("open_file", OpenFile, loaders),
    Kind("own_lock", lambda _: OwnLock(), loaders),
    Kind("deep_lock", lambda _: DeepLock(), loaders, measurable=False),
    Kind("own_generator", lambda _: OwnGenerator(), loaders, measurable=False),
    Kind("iterator_of_list", lambda _: IteratorOfList(), loaders),
    Kind("graph_kept", lambda _: GraphKept(), loaders),
    Kind("deep_graph_kept", lambda _: DeepGraphKept(), loaders, measurable=False),
    Kind("keeps_batch", lambda _: KeepsBatch(), loaders),
    Kind("keeps_trainer", lambda _: KeepsTrainer(), loaders),
    Kind("keeps_optimizer", lambda _: KeepsOptimizer(), loaders),
    Kind("keeps_own_optimizer", lambda _: KeepsOwnOptimizer(), loaders),
    Kind("summed", lambda _: Summed(), loaders),
    Kind("contrastive", lambda _: Contrastive(), loaders),
    Kind("fails_on_training", lambda _: FailsOnTraining(), loaders, measurable=False),
    Kind("changes_globals", lambda _: ChangesGlobals(), loaders),
]
