"""Where a run of `AdaptiveDropout` starts: at one rate, whatever the model was built with, unless it goes on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.callbacks.trainer import passes_over_data
from adaptive_dropout.data import Digits
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from adaptive_dropout.tracking import read_run

pytestmark = [
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:this run validates .* times"),
]


def new_model(p: float) -> Classifier:
    torch.manual_seed(0)
    return Classifier(MLP(64, 10, (16, 16), dropout=lambda: nn.Dropout(p)), num_classes=10)


def fit(model: Classifier, folder: Path, *callbacks: L.Callback, epochs: int = 3) -> dict[str, float]:
    return fit_with(model, Digits(n_train=64, batch_size=32), folder, *callbacks, max_epochs=epochs)


def fit_with(
    model: Classifier, data: Any, folder: Path, *callbacks: L.Callback, val_dataloaders: Any = None, **settings: Any
) -> dict[str, float]:
    L.seed_everything(0, verbose=False)
    trainer = L.Trainer(
        accelerator="cpu", callbacks=list(callbacks), logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder, **settings,
    )  # fmt: skip
    trainer.fit(model, data, val_dataloaders)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


@pytest.mark.slow
def test_models_built_with_any_rates_run_alike(tmp_path: Path) -> None:
    found = [fit(new_model(p), tmp_path / str(p), AdaptiveDropout(), epochs=8) for p in (0.0, 0.1, 0.5, 0.8)]
    assert all(metrics == found[0] for metrics in found)
    assert read_run(tmp_path / "0.8").rates == {"network.dropout1": 0.2, "network.dropout2": 0.2}


def test_a_start_of_its_own_or_of_the_model(tmp_path: Path) -> None:
    for start, expected in ((0.4, 0.4), ("model", 0.8)):
        control = AdaptiveDropout(start=start)
        fit(new_model(0.8), tmp_path, control, epochs=1)
        assert set(control.start.values()) == {expected}


class Counted(L.Callback):
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.passes = passes_over_data(trainer)


@pytest.mark.parametrize(
    ("settings", "passes", "p"),
    [
        ({"max_epochs": 2}, 2.0, 0.2),
        ({"max_epochs": 1}, 1.0, 0.001),
        ({"max_steps": 1}, 0.5, 0.001),
        ({"max_epochs": 4, "limit_train_batches": 1}, None, 0.2),
    ],
)
def test_a_run_that_shows_no_example_twice_starts_without_noise(
    tmp_path: Path, settings: dict[str, Any], passes: float | None, p: float
) -> None:
    counted, control = Counted(), AdaptiveDropout()
    fit_with(new_model(0.8), Digits(n_train=64, batch_size=32), tmp_path, counted, control, **settings)
    assert counted.passes == passes
    assert set(control.start.values()) == {p}


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return itertools.repeat((torch.zeros(64), torch.zeros((), dtype=torch.int64)))


class Unsized(Dataset[Any]):
    def __getitem__(self, index: int) -> Any:
        return torch.zeros(64), torch.zeros((), dtype=torch.int64)


def test_examples_that_cannot_be_counted_are_no_reason_to_start_low(tmp_path: Path) -> None:
    data, sampler = Digits(n_train=64, batch_size=32), range(64)
    data.setup("fit")
    for loader in (DataLoader(Endless(), 32), DataLoader(Unsized(), 32, sampler=sampler)):  # type: ignore[arg-type]
        counted = Counted()
        fit_with(new_model(0.8), loader, tmp_path, counted, max_steps=1, val_dataloaders=data.val_dataloader())
        assert counted.passes is None


def test_another_rule_starts_where_the_model_is(tmp_path: Path) -> None:
    control = AdaptiveDropout(ad.PlateauController())
    fit(new_model(0.8), tmp_path, control, epochs=1)
    assert set(control.start.values()) == {0.8}


def test_a_second_fit_goes_on_from_the_rates_that_the_first_found(tmp_path: Path) -> None:
    model = new_model(0.8)
    fit(model, tmp_path / "first", AdaptiveDropout(ad.GapController(change=0.01)))
    found = ad.get_rates(model)
    assert 0.8 not in found.values()
    again = AdaptiveDropout()
    fit(model, tmp_path / "second", again, epochs=1)
    assert again.start == found


@pytest.mark.parametrize("start", [1.5, "low"])
def test_a_start_that_is_none_is_refused(start: float | str) -> None:
    with pytest.raises(ValueError, match=r"^start has to be"):
        AdaptiveDropout(start=start)


def test_a_start_beside_a_rule_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^start=0.3 is for the default rule; PlateauController"):
        AdaptiveDropout(ad.PlateauController(), start=0.3)
