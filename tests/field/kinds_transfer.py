"""Batches that are changed on their way to the step, or in it, and steps that draw random numbers."""

from __future__ import annotations

import random
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tests.field.harness import Kind
from tests.field.parts import BATCH, Plain, loaders, points


class AfterTransfer(Plain):
    # Kornia's tutorial: augmentation and scaling of the whole batch on its device, here in place
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        batch[0].mul_(0.5)
        if self.trainer.training:
            batch[0].add_(0.1 * torch.randn_like(batch[0]))
        return batch


class BeforeTransfer(Plain):
    # microsoft/torchgeo's tasks: bands are taken out before the batch is moved
    def __init__(self) -> None:
        super().__init__()
        self.before, self.moved = 0, 0

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.before += 1
        batch[0][:, 0] = 0.0
        return [batch[0] * 2.0, batch[1]]

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        self.moved += 1
        return super().transfer_batch_to_device(batch, device, dataloader_idx)


class Hooked(L.LightningDataModule):
    # terratorch's data modules: the same hooks, in the data module, with its own counts
    def __init__(self) -> None:
        super().__init__()
        self.counts = {"before": 0, "after": 0}

    def train_dataloader(self) -> Any:
        return DataLoader(points(48, 1), BATCH, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(points(16, 2), BATCH)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.counts["before"] += 1
        batch[0].sub_(0.25)
        return batch

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.counts["after"] += 1
        batch[0].clamp_(-1.0, 1.0)
        return batch


class LogsDataCounts(Plain):
    # what the data module counted goes into the logger, and so decides what is compared
    def on_train_epoch_end(self) -> None:
        self.log_dict({name: float(n) for name, n in self.trainer.datamodule.counts.items()})


class MasksInPlace(Plain):
    # masked language models: tokens of the batch itself are replaced, in both steps
    def mask(self, batch: Any) -> None:
        batch[0][torch.rand_like(batch[0]) < 0.15] = 0.0

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.mask(batch)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.mask(batch)
        return super().validation_step(batch, batch_idx)


class InMemory(Dataset[Any]):
    """Gives out its own tensors, so that a step that changes them changes the data for good."""

    def __init__(self, n: int, seed: int) -> None:
        self.rows = [points(n, seed)[i] for i in range(n)]

    def __len__(self) -> int:
        return len(self.rows) // BATCH

    def __getitem__(self, index: int) -> list[Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        rows = self.rows[index * BATCH : (index + 1) * BATCH]
        return [torch.stack([x for x, _ in rows]), torch.stack([y for _, y in rows])]


class Cached(Dataset[Any]):
    """Whole batches, made once and handed out again and again, as graph data sets do."""

    def __init__(self, n: int, seed: int) -> None:
        data = InMemory(n, seed)
        self.batches = [data[i] for i in range(len(data))]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> list[Tensor]:
        return self.batches[index]


def cached() -> dict[str, Any]:
    # PyG's InMemoryDataset with batch_size=None: the very tensors of the data set come to the step
    train, val = DataLoader(Cached(48, 1), batch_size=None), DataLoader(Cached(16, 2), batch_size=None)
    return {"train_dataloaders": train, "val_dataloaders": val}


class DrawsTorch(Plain):
    # diffusion models: noise and time steps are drawn in validation too
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        noisy = batch[0] + torch.randn_like(batch[0]) * torch.rand(len(batch[0]), 1)
        self.log("val_loss", self.loss((noisy, batch[1])))
        self.log("drawn", noisy.mean())


class DrawsNumpy(Plain):
    # older augmentation code: numpy's global generator
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("val_loss", self.loss((batch[0] + float(np.random.normal()), batch[1])))
        self.log("drawn", np.random.rand())


class DrawsPython(Plain):
    # scheduled sampling, mixup: Python's generator, which chooses whether and how
    def __init__(self) -> None:
        super().__init__()
        self.own, self.torchs = random.Random(3), torch.Generator().manual_seed(3)
        self.numpys = np.random.default_rng(3)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        shift = (
            random.random() + self.own.random() + float(torch.rand((), generator=self.torchs)) + self.numpys.random()
        )
        self.log("val_loss", self.loss((batch[0] + shift * random.choice((-1, 1)), batch[1])))
        self.log("shift", shift)


class Augmented(Dataset[Any]):
    """Draws its augmentation from the global generators when an example is fetched."""

    def __init__(self, n: int, seed: int) -> None:
        self.data, self.fetched = points(n, seed), 0

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.fetched += 1
        x, y = self.data[index]
        return x + 0.1 * torch.randn(len(x)) + 0.01 * float(np.random.rand()) + 0.01 * random.random(), y


class CountsFetched(Plain):
    # data sets that change as they are read: how often is what the run says
    def on_train_epoch_end(self) -> None:
        self.log("fetched", float(self.trainer.train_dataloader.dataset.fetched))


class CountsCalls:
    """A collate function that knows how often it was called, and draws: curricula and masking collators."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, examples: Any) -> Any:
        self.calls += 1
        x, y = torch.stack([x for x, _ in examples]), torch.stack([y for _, y in examples])
        return x * (1 + 0.01 * self.calls), y


class LogsCalls(Plain):
    # Megatron-style and curriculum collators: batches depend on how many were made before
    def on_train_epoch_end(self) -> None:
        self.log("calls", float(self.trainer.train_dataloader.collate_fn.calls))


class FixedSeedInStep(Plain):
    # "reproducible validation": the step seeds torch, and never gives the generator back
    def on_validation_epoch_start(self) -> None:
        torch.manual_seed(1234 + self.current_epoch)
        np.random.seed(7)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("val_loss", self.loss((batch[0] + torch.randn_like(batch[0]), batch[1])))


KINDS = [
    Kind("after_transfer", lambda _: AfterTransfer(), loaders),
    Kind("before_transfer", lambda _: BeforeTransfer(), loaders),
    Kind("datamodule_hooks", lambda _: LogsDataCounts(), lambda: {"datamodule": Hooked()}),
    Kind("masks_in_place", lambda _: MasksInPlace(), loaders),
    Kind("masks_the_data", lambda _: MasksInPlace(), cached),
    Kind("after_transfer_of_the_data", lambda _: AfterTransfer(), cached),
    Kind("draws_torch", lambda _: DrawsTorch(), loaders, {"num_sanity_val_steps": 1}),
    Kind("draws_numpy", lambda _: DrawsNumpy(), loaders),
    Kind("draws_python", lambda _: DrawsPython(), loaders),
    Kind("augmented", lambda _: CountsFetched(), lambda: loaders(Augmented(48, 1), Augmented(16, 2))),
    Kind("counting_collate", lambda _: LogsCalls(), lambda: loaders(collate=CountsCalls())),
    Kind("fixed_seed_in_step", lambda _: FixedSeedInStep(), loaders),
]
