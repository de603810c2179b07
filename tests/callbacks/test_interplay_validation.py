"""Every way to say when a run validates and how long it is, and what cannot be steered by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateControl
from adaptive_dropout.callbacks.trainer import expected_validations
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import Script, StopAfter, Turn, Watch, fit, task
from tests.callbacks.test_control import Recorder, signals_of
from tests.callbacks.toy import Toy, fit as fit_toy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
]

WHEN = {
    "batches": ({"val_check_interval": 3}, 8),
    "a part of the epoch": ({"val_check_interval": 0.5}, 16),
    "every second epoch": ({"check_val_every_n_epoch": 2}, 4),
    "twice every second epoch": ({"check_val_every_n_epoch": 2, "val_check_interval": 0.5}, 8),
    "batches of all epochs": ({"check_val_every_n_epoch": None, "val_check_interval": 6}, 5),
}


class Expected(L.Callback):
    """Keeps how often the run was expected to validate, and the weights after each decision and those trained on."""

    def __init__(self) -> None:
        self.validations: int | None = None
        self.measured: list[Tensor] = []
        self.trained: dict[int, Tensor] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.validations = expected_validations(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.measured.append(next(pl_module.network.parameters()).detach().clone())

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.trained.setdefault(len(self.measured), next(pl_module.network.parameters()).detach().clone())


@pytest.mark.parametrize("when", WHEN)
def test_each_validation_is_a_decision_and_a_rewind_is_carried_out_before_the_next_batch(
    tmp_path: Path, when: str
) -> None:
    settings, validations = WHEN[when]
    control, seen = DropoutRateControl(Script("i.r" + "." * 13)), Expected()
    fit(task(), tmp_path, [control, seen], max_epochs=8, **settings)
    assert isinstance(control.state, Turn)
    assert control.state.turn == len(seen.measured) == seen.validations == validations
    assert torch.equal(seen.trained[3], seen.measured[0])
    assert not torch.equal(seen.measured[2], seen.measured[0])


def test_the_interval_that_is_advised_gives_enough_validations(tmp_path: Path) -> None:
    control = DropoutRateControl(Script("." * 40))
    with pytest.warns(UserWarning, match=r"validates 19 times, .* set val_check_interval to 2 batches or fewer"):
        fit(task(), tmp_path, [control, StopAfter(1)], max_epochs=19)
    fit(task(), tmp_path, [control], max_epochs=19, val_check_interval=2)
    assert isinstance(control.state, Turn)
    assert control.state.turn >= 20


class Endless(IterableDataset[Tensor]):
    """Examples without a number of them known in advance."""

    def __iter__(self) -> Iterator[Tensor]:
        return iter([torch.ones(1)] * 8)


def fit_endless(folder: Path, control: DropoutRateControl, **settings: Any) -> None:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = L.Trainer(
        callbacks=[control], logger=False, default_root_dir=folder, accelerator="cpu", **quiet, **settings
    )
    trainer.fit(Toy([1.0]), DataLoader(Endless()), DataLoader(torch.ones(2, 1)))


def test_a_stream_of_data_has_the_steps_of_max_steps(tmp_path: Path) -> None:
    control = DropoutRateControl(Recorder())
    fit_endless(tmp_path, control, max_steps=12, val_check_interval=4)
    assert [(s["step"], s["total_steps"]) for s in signals_of(control)] == [(4, 12), (8, 12), (12, 12)]
    fit_endless(tmp_path, DropoutRateControl(ad.RewindController(ad.FixedController())), max_steps=12)


def test_a_run_of_unknown_length_is_told_before_training_where_it_matters(tmp_path: Path) -> None:
    control = DropoutRateControl(Recorder())
    fit_endless(tmp_path, control, max_epochs=2)
    assert ["total_steps" in s for s in signals_of(control)] == [False, False]
    expected = "max_steps is -1, max_epochs 2 and the data of inf batches; set max_steps"
    with pytest.raises(ValueError, match=expected):
        fit_endless(tmp_path, DropoutRateControl(ad.RewindController()), max_epochs=2)


def test_an_unknown_mode_is_refused_with_what_would_be_right() -> None:
    with pytest.raises(ValueError, match="mode has to be 'min', 'max' or None, to find it out, but got 'best'"):
        AdaptiveDropout(monitor="score", mode="best")


def test_a_training_loss_that_is_nan_is_left_out_of_the_mean(tmp_path: Path) -> None:
    class Spiked(Toy):
        def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
            loss = super().training_step(batch, batch_idx)
            return loss + float("nan") if self.batches == 6 else loss

    control = DropoutRateControl(Recorder())
    fit_toy(Spiked([1.0]), tmp_path, [control])
    assert [(s["step"], s["train_loss"]) for s in signals_of(control)] == [(4, 2.5), (8, 20 / 3), (12, 10.5)]


def test_a_model_without_dropout_layers_is_told_before_training(tmp_path: Path) -> None:
    watch = Watch()
    with pytest.raises(
        ValueError, match=r"finds no SettableRate .*; give it nn.Dropout layers; adaptive_dropout.inventory"
    ):
        fit(Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 10), tmp_path, [AdaptiveDropout(), watch])
    assert not watch.batches


def test_a_run_without_validation_is_told_before_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="AdaptiveDropout decides after each validation, but this run has none"):
        fit(Classifier(MLP(64, 10, (8,), nn.Dropout), 10), tmp_path, [AdaptiveDropout()], limit_val_batches=0)
