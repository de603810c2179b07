"""The default callback on data that changes in the run, ends and begins anew, or comes in batches of many sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.tuner import Tuner
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from tests.field.parts import BATCH, CLASSES, FEATURES, Plain, mlp, points
from tests.field.runs import EPOCHS, SIGMAS, Spy, check_clean_loss, check_sane, in_batches, moments, run, signals_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
    pytest.mark.filterwarnings("ignore:You passed in a `val_dataloader` but have no"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
]

TRAIN, VAL = points(64, 1), points(32, 2)


def test_experience_that_is_refreshed_each_epoch_is_drawn_as_often_as_without(tmp_path: Path) -> None:
    # lightning-bolts' DQN: an IterableDataset that samples a buffer, which the agent fills when an epoch begins
    class Experience(IterableDataset[Any]):
        def __init__(self) -> None:
            self.buffer, self.drawn = points(64, 0), 0

        def __iter__(self) -> Iterator[Any]:
            for _ in range(48):
                self.drawn += 1
                yield self.buffer[int(torch.randint(len(self.buffer), ()))]

    class Agent(Plain):
        def __init__(self, experience: Experience) -> None:
            super().__init__()
            self.experience, self.played = experience, 0

        def on_train_epoch_start(self) -> None:
            self.played += 1
            self.experience.buffer = points(64, self.played)

    experience = Experience()
    module = Agent(experience)
    own = run(
        tmp_path, module, DataLoader(experience, BATCH), DataLoader(VAL, BATCH), max_epochs=12, limit_train_batches=6
    )
    check_sane(own)
    assert (module.played, experience.drawn) == (12, 12 * 48)
    assert "clean_loss" in signals_of(own)[-1]


class Buckets(Sampler[list[int]]):
    """Batches of examples of one length, of many where they are short: fairseq's and speechbrain's bucketing."""

    def __init__(self, lengths: list[int], tokens: int) -> None:
        self.lengths, self.tokens, self.epochs = lengths, tokens, 0

    def _batches(self) -> list[list[int]]:
        batches: list[list[int]] = []
        for length in sorted(set(self.lengths)):
            same = [i for i, one in enumerate(self.lengths) if one == length]
            size = max(1, self.tokens // length)
            batches += [same[i : i + size] for i in range(0, len(same), size)]
        return batches

    def __len__(self) -> int:
        return len(self._batches())

    def __iter__(self) -> Iterator[list[int]]:
        self.epochs += 1
        batches = self._batches()
        return iter([batches[int(i)] for i in torch.randperm(len(batches))])


class Texts(Dataset[Any]):
    def __init__(self, n: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.lengths = torch.randint(2, 6, (n,), generator=generator).tolist()
        self.labels = torch.randint(CLASSES, (n,), generator=generator)
        self.rows = [torch.randn(k, FEATURES, generator=generator) + F.one_hot(y, FEATURES)
                     for k, y in zip(self.lengths, self.labels, strict=True)]  # fmt: skip

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index], self.labels[index]


def test_batches_of_many_sizes_are_measured(tmp_path: Path) -> None:
    # fairseq: the batch size goes with the length
    class Averaged(Plain):
        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.mean(1))  # type: ignore[no-any-return]

    train, val = Texts(64, 1), Texts(32, 2)
    sampler = Buckets(train.lengths, 24)
    loaders = DataLoader(train, batch_sampler=sampler), DataLoader(val, batch_sampler=Buckets(val.lengths, 24))
    spy = Spy(list(DataLoader(train, batch_sampler=Buckets(train.lengths, 24))))
    own = run(tmp_path, Averaged(), *loaders, spy)
    check_sane(own)
    check_clean_loss(own, spy)
    assert sampler.epochs == EPOCHS


def test_a_curriculum_is_reloaded_as_often_as_without(tmp_path: Path) -> None:
    # curriculum learning with reload_dataloaders_every_n_epochs: harder data by the epoch, from the data module
    class Curriculum(L.LightningDataModule):
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[int] = []

        def train_dataloader(self) -> Any:
            assert self.trainer is not None
            self.asked.append(self.trainer.current_epoch)
            x, y = TRAIN.tensors
            hard = 0.05 * self.trainer.current_epoch * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
            return DataLoader(TensorDataset(x + hard, y), BATCH, shuffle=True)

        def val_dataloader(self) -> Any:
            return DataLoader(VAL, BATCH)

    data = Curriculum()
    own = run(tmp_path, Plain(), None, None, datamodule=data, reload_dataloaders_every_n_epochs=1)
    check_sane(own)
    assert data.asked == list(range(EPOCHS))
    assert "clean_loss" in signals_of(own)[-1]


def test_a_learning_rate_can_be_looked_for_before_the_run(tmp_path: Path) -> None:
    # Lightning's documentation: Tuner(trainer).lr_find(model), then fit with the same trainer
    class Tunable(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.lr, self.validated = 1e-3, 0

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.validated += 1
            super().validation_step(batch, batch_idx)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), self.lr)

    module, own, spy = Tunable(), AdaptiveDropout(), Spy(in_batches(TRAIN, BATCH))
    trainer = L.Trainer(
        max_epochs=8, accelerator="cpu", callbacks=[spy, own], logger=False, default_root_dir=tmp_path,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    loaders = DataLoader(TRAIN, BATCH, shuffle=True), DataLoader(VAL, BATCH)
    Tuner(trainer).lr_find(module, *loaders, num_training=20)
    found, module.validated = module.lr, 0
    spy.losses.clear()
    assert ad.get_rates(module) == {"net.2": 0.25}
    trainer.fit(module, *loaders)
    assert found != 1e-3
    assert module.validated == 8 * 4
    check_sane(own)
    check_clean_loss(own, spy)


def test_a_run_that_is_gone_on_with_has_the_clean_loss_of_its_own_weights(tmp_path: Path) -> None:
    # fit(ckpt_path="last") on a cluster that ends jobs: the first half is another process
    def fit(epochs: int, **how: Any) -> tuple[AdaptiveDropout, Spy]:
        spy, keeps = Spy(in_batches(TRAIN, BATCH)), ModelCheckpoint(tmp_path / "kept", save_last=True)
        loaders = DataLoader(TRAIN, BATCH, shuffle=True), DataLoader(VAL, BATCH)
        torch.manual_seed(1)
        own = run(tmp_path, Plain(), *loaders, spy, keeps, max_epochs=epochs, enable_checkpointing=True, **how)
        return own, spy

    fit(6)
    own, spy = fit(12, ckpt_path=tmp_path / "kept" / "last.ckpt")
    check_sane(own)
    signals = signals_of(own)
    assert [round(one["epoch"]) for one in signals] == list(range(12))
    for one, losses in zip(signals[6:], spy.losses, strict=True):
        true, spread = moments(losses)
        assert abs(one["clean_loss"] - true) <= SIGMAS * spread / 2**0.5


class Unvalidated(Plain):
    validation_step = L.LightningModule.validation_step  # type: ignore[assignment]


class TwoLosses(Plain):
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log_dict({"loss_a": self.loss(batch), "loss_b": self.loss(batch)})


REFUSED = {
    "no validation": (Unvalidated(), {}, {}, ValueError, "this run has none"),
    "no dropout": (Plain(torch.nn.Linear(FEATURES, CLASSES)), {}, {}, ValueError, "finds no"),
    "no end": (Plain(), {}, {"max_epochs": -1}, ValueError, "max_steps"),
    "two losses": (TwoLosses(), {}, {}, ValueError, "which of them is the loss"),
    "another name": (Plain(), {"monitor": "val_los"}, {}, KeyError, "is not logged"),
    "averages in front": (Plain(), {}, {"averaged": True}, ValueError, "averages the weights"),
}


@pytest.mark.parametrize("sanity", [0, 2])
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_steered_is_refused_before_the_first_batch(tmp_path: Path, case: str, sanity: int) -> None:
    from lightning.pytorch.callbacks import WeightAveraging

    module, given, settings, error, says = REFUSED[case]
    trained: list[int] = []

    class Count(L.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            trained.append(1)

    front = [WeightAveraging()] if settings.get("averaged") else []
    settings = {"max_epochs": 22} | {name: value for name, value in settings.items() if name != "averaged"}
    trainer = L.Trainer(
        accelerator="cpu", callbacks=[Count(), *front, AdaptiveDropout(**given)], logger=False,
        default_root_dir=tmp_path, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=sanity,
        **settings,
    )  # fmt: skip
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(error, match=says):
        trainer.fit(module, DataLoader(TRAIN, BATCH), DataLoader(VAL, BATCH))
    assert not trained
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


class Fast(Plain):
    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), 0.01)


def wide() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(FEATURES, 128), torch.nn.ReLU(), ad.Dropout(0.1), torch.nn.Linear(128, CLASSES)
    )


@pytest.mark.slow
def test_a_net_that_is_larger_than_its_data_is_dropped_more(tmp_path: Path) -> None:
    # the sanity of decisions as such: 32 noisy examples are learned by heart, so the rate has to rise
    loaders = DataLoader(points(32, 1), BATCH, shuffle=True), DataLoader(points(64, 2), 32)
    own = run(tmp_path, Fast(wide()), *loaders, max_epochs=30)
    check_sane(own, (0.0, 1.0))
    assert own.run is not None
    assert max(decision.after["net.2"] for decision in own.run.decisions) > 0.2


@pytest.mark.slow
def test_a_reason_that_says_raised_goes_with_a_rate_that_rose(tmp_path: Path) -> None:
    # random labels: validation is never better than a constant prediction, so there is nothing to raise for
    def labels(n: int) -> TensorDataset:
        return TensorDataset(torch.randn(n, FEATURES), torch.randint(CLASSES, (n,)))

    loaders = DataLoader(labels(32), BATCH, shuffle=True), DataLoader(labels(32), BATCH)
    own = run(tmp_path, Fast(wide()), *loaders, max_epochs=30)
    assert own.run is not None
    rewinds = [decision for decision in own.run.decisions if decision.rewind]
    assert rewinds
    for decision in rewinds:
        assert ("raised" in decision.reason) == (decision.after["net.2"] > 0.2), decision.reason


@pytest.mark.slow
def test_a_net_without_need_of_dropout_is_dropped_less(tmp_path: Path) -> None:
    # much data and a small net that underfits by a rate of 0.6
    module = Fast(mlp(p=0.6))
    loaders = DataLoader(points(320, 1), 32, shuffle=True), DataLoader(points(320, 2), 64)
    own = run(tmp_path, module, *loaders, max_epochs=25)
    check_sane(own)
    assert own.state is not None
    assert own.state.rates["net.2"] < 0.5
