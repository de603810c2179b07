"""Small runs that are to be killed, one for each way to train, to read data and to save that may matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, WeightAveraging
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateControl, DropoutRateScheduler
from adaptive_dropout.data import Digits

__all__ = ["SCENARIOS", "Scenario", "trained"]

Loaders = dict[str, Any]
MANY = 30  # checkpoints kept: all of them, so that a run may be resumed from any


@dataclass(frozen=True)
class Scenario:
    """A run of 40 steps, or fewer.

    Args:
        loaders: the arguments of ``fit`` that give it data.
        callbacks: that steer it, given its folder.
        every: a checkpoint every so many steps; 0 for one after each validation, -1 for one at each epoch's end.
        optimizer: of the weights.
        norm: whether the model has BatchNorm.
        trainer: further arguments of the trainer.
        exact: whether a resumed run has to be the unbroken one; if not, it has to say what differs.
    """

    loaders: Callable[[], Loaders]
    callbacks: Callable[[Path], list[Callback]]
    every: int = 0
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam
    norm: bool = False
    trainer: Mapping[str, Any] = field(default_factory=dict)
    exact: bool = True


class Net(L.LightningModule):
    """A perceptron on 64 inputs with two dropout layers."""

    def __init__(self, scenario: Scenario, dropout: Callable[[], nn.Module]) -> None:
        super().__init__()
        norm = [nn.BatchNorm1d(24)] if scenario.norm else []
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), *norm, nn.ReLU(), dropout())
        self.head = nn.Sequential(nn.Linear(24, 24), nn.ReLU(), dropout(), nn.Linear(24, 10))
        self._optimizer = scenario.optimizer

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.body(x))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss_step", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log the loss of a batch."""
        self.log("val_loss", F.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the scenario's optimizer."""
        return self._optimizer(self.parameters(), lr=0.01)


def trained(scenario: Scenario, folder: Path, seed: int, extra: list[Callback], checkpoint: Path | None) -> L.Trainer:
    """Train the run in ``folder``, from its beginning or from a ``checkpoint``, and return its trainer."""
    from lightning.pytorch.loggers import CSVLogger

    L.seed_everything(seed, verbose=False)
    callbacks = scenario.callbacks(folder)
    scheduled = any(isinstance(callback, DropoutRateScheduler) for callback in callbacks)
    adaptive = any(isinstance(callback, AdaptiveDropout) for callback in callbacks)
    dropout = nn.Dropout if adaptive else ad.Dropout
    model = Net(scenario, lambda: ad.Dropout(ad.CosineSchedule(0.5, 0.1)) if scheduled else dropout(0.3))
    saves = ModelCheckpoint(
        folder / "checkpoints", "{step}", save_top_k=-1, save_on_train_epoch_end=scenario.every < 0,
        every_n_train_steps=scenario.every if scenario.every > 0 else None,
    )  # fmt: skip
    settings: dict[str, Any] = {"max_epochs": 5, "val_check_interval": 0.5, "accelerator": "cpu"} | dict(
        scenario.trainer
    )
    trainer = L.Trainer(
        default_root_dir=folder, logger=CSVLogger(folder, "log", version=0), callbacks=[*extra, *callbacks, saves],
        enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1, **settings,
    )  # fmt: skip
    trainer.fit(model, **scenario.loaders(), ckpt_path=checkpoint)
    return trainer


def _data(n: int = 256) -> tuple[TensorDataset, TensorDataset]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(n + 128, 64, generator=generator)
    y = (x[:, :10] + torch.randn(n + 128, 10, generator=generator)).argmax(1)
    return TensorDataset(x[:n], y[:n]), TensorDataset(x[n:], y[n:])


def _ordered() -> Loaders:
    train, val = _data()
    return {"train_dataloaders": DataLoader(train, 32), "val_dataloaders": DataLoader(val, 64)}


def _drawing() -> Loaders:
    """Return loaders that draw from the global generator."""
    train, val = _data()
    return {"train_dataloaders": DataLoader(train, 32, shuffle=True), "val_dataloaders": DataLoader(val, 64)}


def _seeded() -> Loaders:
    """Return a training loader with a generator of its own, which no checkpoint of Lightning's holds."""
    train, val = _data()
    own = torch.Generator().manual_seed(3)
    return {
        "train_dataloaders": DataLoader(train, 32, shuffle=True, generator=own),
        "val_dataloaders": DataLoader(val, 64),
    }


class Stateful(DataLoader[Any]):
    """A user's loader that knows its place: the epoch, which seeds the order, and the batch."""

    epoch, done = -1, 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self.done % 8 == 0:
            self.epoch += 1
        skipped = self.done = self.done % 8
        order = torch.randperm(len(self.dataset), generator=torch.Generator().manual_seed(self.epoch)).tolist()  # type: ignore[arg-type]
        self.sampler.order = order[skipped * 32 :]  # type: ignore[attr-defined]
        for batch in super().__iter__():
            self.done += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the place; at the end of an epoch it is the beginning of the next."""
        return {"epoch": self.epoch, "done": self.done % 8}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from the place."""
        self.epoch, self.done = state["epoch"], state["done"]


class Order(torch.utils.data.Sampler[int]):
    """Any order, set from outside."""

    order: list[int]

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)

    def __len__(self) -> int:
        return 256


class Noisy(Dataset[Any]):
    """Examples with noise drawn when they are read: by a worker process from the worker's generator."""

    def __init__(self, data: TensorDataset) -> None:
        self.data = data

    def __getitem__(self, index: int) -> Any:
        x, y = self.data[index]
        return x + 0.1 * torch.randn(64), y

    def __len__(self) -> int:
        return len(self.data)


def _stateful() -> Loaders:
    train, val = _data()
    loader = Stateful(train, 32, sampler=Order(), generator=torch.Generator())
    return {"train_dataloaders": loader, "val_dataloaders": DataLoader(val, 64)}


def _careless() -> Loaders:
    """Return a stateful loader that draws from the global generator when it begins, and does not bring that back."""
    train, val = _data()
    return {"train_dataloaders": Stateful(train, 32, sampler=Order()), "val_dataloaders": DataLoader(val, 64)}


def _working() -> Loaders:
    """Return a stateful loader whose worker process draws noise, of which no state is kept."""
    train, val = _data()
    loader = Stateful(Noisy(train), 32, sampler=Order(), num_workers=1)
    return {"train_dataloaders": loader, "val_dataloaders": DataLoader(val, 64)}


def _digits() -> Loaders:
    return {"datamodule": Digits(n_train=256, batch_size=32)}


def _adaptive(folder: Path) -> list[Callback]:
    return [AdaptiveDropout()]


def _rule(controller: Callable[[], ad.Controller]) -> Callable[[Path], list[Callback]]:
    return lambda folder: [DropoutRateControl(controller())]


def _plateau() -> ad.Controller:
    return ad.PlateauController(patience=1)


LIMITED = {"limit_train_batches": 0.8}
SCENARIOS: Mapping[str, Scenario] = {
    "every 5 steps": Scenario(_digits, _adaptive, every=5),
    "every 5 steps, ordered": Scenario(_ordered, _adaptive, every=5, exact=False),
    "every 5 steps, stateful": Scenario(_stateful, _adaptive, every=5, exact=False),
    "every 5 steps, careless": Scenario(_careless, _rule(_plateau), every=5, exact=False),
    "every 5 steps, plateau": Scenario(_stateful, _rule(_plateau), every=5),
    "every step": Scenario(_digits, _rule(_plateau), every=1),
    "accumulated": Scenario(_ordered, _adaptive, every=-1, trainer={"accumulate_grad_batches": 2}),
    "accumulated, digits": Scenario(_digits, _adaptive, trainer={"accumulate_grad_batches": 2}),
    "accumulated, stateful": Scenario(_stateful, _adaptive, trainer={"accumulate_grad_batches": 2}, exact=False),
    # A run resumed from step 3 writes that checkpoint again half a step later: Lightning forgot that there was one.
    "accumulated, every 3 steps": Scenario(
        _digits, _adaptive, every=3, trainer={"accumulate_grad_batches": 2}, exact=False
    ),
    "half accumulated": Scenario(
        _stateful, _adaptive, trainer={"accumulate_grad_batches": 3, "val_check_interval": 5}, exact=False
    ),
    "response": Scenario(_ordered, _rule(ad.ResponseController), every=-1, exact=False),
    "response, stateful": Scenario(_stateful, _rule(ad.ResponseController), exact=False),
    "response, every 5 steps": Scenario(_digits, _rule(ad.ResponseController), every=5, exact=False),
    "hypergradient": Scenario(_digits, _rule(lambda: ad.RewindController(ad.HypergradientController())), exact=False),
    "hypergradient, every 5 steps": Scenario(_digits, _rule(ad.HypergradientController), every=5, exact=False),
    "plateau": Scenario(_ordered, _rule(_plateau), every=-1),
    "plateau, stateful": Scenario(_stateful, _rule(_plateau)),
    "digits": Scenario(_digits, _adaptive),
    "digits, limited": Scenario(_digits, _adaptive, trainer=LIMITED),
    "digits, at ends": Scenario(_digits, _adaptive, every=-1),
    "digits, max_steps": Scenario(_digits, _adaptive, every=-1, trainer={"max_epochs": -1, "max_steps": 37}),
    "drawing, at ends": Scenario(_drawing, _adaptive, every=-1),
    "drawing": Scenario(_drawing, _adaptive, exact=False),
    "seeded, at ends": Scenario(_seeded, _adaptive, every=-1, exact=False),
    "workers": Scenario(_working, _rule(_plateau), exact=False),
    "adam": Scenario(_ordered, _adaptive, every=-1),
    "sgd": Scenario(_digits, _adaptive, optimizer=torch.optim.SGD),
    "folder": Scenario(_digits, lambda folder: [AdaptiveDropout(folder=folder / "snapshots")]),
    "ema": Scenario(_digits, lambda folder: [AdaptiveDropout(), EMAWeightAveraging(decay=0.9)]),
    "averaging": Scenario(_digits, lambda folder: [AdaptiveDropout(), WeightAveraging()]),
    "bf16": Scenario(_digits, _adaptive, trainer={"precision": "bf16-mixed"}),
    "schedule": Scenario(_stateful, lambda folder: [DropoutRateScheduler()], norm=True),
}  # fmt: skip
