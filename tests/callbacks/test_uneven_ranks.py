"""Two processes whose data differ: in number, down to none, in what they log, and in what that is worth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics import MeanMetric

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateControl
from tests.callbacks.pair import Sized, Uneven, fit_pair

pytestmark = pytest.mark.slow

TRAIN = [[1.0] * 8, [1.0] * 8]
MOVES = ad.GapController(low=-9.0, high=-8.0, change=0.1)


def test_a_mean_that_lightning_left_to_each_process_is_weighted_by_examples(tmp_path: Path) -> None:
    model = Uneven(TRAIN, [[1.0, 1.0, 1.0, 1.0, 1.0], [4.0]])
    first, second = fit_pair(model, tmp_path, DropoutRateControl(MOVES))
    assert [signals["val_loss"] for signals in first["signals"]] == pytest.approx([1.5] * 3)
    assert first["rates"] == second["rates"]
    assert len(set(first["rates"])) == 3


def test_the_training_loss_is_weighted_by_examples_too(tmp_path: Path) -> None:
    model = Uneven([[1.0] * 8, [5.0, 5.0]], [[1.0], [1.0]], batch_size=8)
    first, second = fit_pair(model, tmp_path, DropoutRateControl(MOVES))
    assert [signals["train_loss"] for signals in first["signals"]] == pytest.approx([1.8] * 3)
    assert first["rates"] == second["rates"]


@pytest.mark.parametrize("empty", [0, 1])
def test_a_process_without_validation_data_leaves_the_decision_to_the_other(tmp_path: Path, empty: int) -> None:
    val = [[2.0, 4.0], [2.0, 4.0]]
    val[empty] = []
    first, second = fit_pair(Uneven(TRAIN, val), tmp_path, DropoutRateControl(MOVES))
    assert [signals["val_loss"] for signals in first["signals"]] == [3.0] * 3
    assert [signals["val_loss"] for signals in second["signals"]] == [3.0] * 3
    assert first["rates"] == second["rates"]
    assert len(set(first["rates"])) == 3
    told = [line for line in first["warnings"] if "1 of 2 processes" in line]
    assert len(told) == 1


class Skipping(Uneven):
    """Lightning skips the validation of a process whose loader says that it is empty, hooks and all."""

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.allow_zero_length_dataloader_with_multiple_devices = True

    def val_dataloader(self) -> Any:
        return DataLoader(Sized(self.val_values[self.global_rank]), batch_size=4)


@pytest.mark.parametrize("settings", [{}, {"check_val_every_n_epoch": 2, "max_epochs": 4}])
def test_a_process_that_lightning_never_validates_means_no_decisions_and_one_warning(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    model = Skipping(TRAIN, [[1.0, 1.0], []])
    first, second = fit_pair(model, tmp_path, DropoutRateControl(MOVES), **settings)
    assert set(first["rates"]) == set(second["rates"]) == {0.3}
    assert len([line for line in first["warnings"] if "no validation data" in line]) == 1


@pytest.mark.parametrize("rank", [0, 1])
def test_a_loss_that_is_not_finite_in_one_process_is_told_once(tmp_path: Path, rank: int) -> None:
    val = [[1.0], [1.0]]
    val[rank] = [math.nan]
    first, second = fit_pair(Uneven(TRAIN, val), tmp_path, DropoutRateControl(MOVES))
    assert first["rates"] == second["rates"]
    assert [reason.startswith("no decision: val_loss is nan") for reason in second["reasons"]] == [True] * 3
    assert len([line for line in first["warnings"] if "val_loss is nan" in line]) == 1


class Silent(Uneven):
    """One process logs its validation loss now and then."""

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        if self.global_rank == 0 or self.current_epoch == 1:
            super().validation_step(batch, batch_idx)


def test_a_process_that_logs_now_and_then_counts_when_it_does(tmp_path: Path) -> None:
    first, second = fit_pair(Silent(TRAIN, [[2.0], [4.0]]), tmp_path, DropoutRateControl(MOVES))
    assert [signals["val_loss"] for signals in first["signals"]] == [2.0, 3.0, 2.0]
    assert first["rates"] == second["rates"]


class Passes(Uneven):
    """By its loaders one process shows each example twice, the other two thirds of them once."""

    def train_dataloader(self) -> Any:
        return DataLoader(Sized(self.train_values[self.global_rank]), batch_size=2, sampler=range(8))


def test_all_processes_start_from_the_rates_of_the_first(tmp_path: Path) -> None:
    model = Passes([[1.0] * 8, [1.0] * 24], [[1.0], [1.0]])
    first, second = fit_pair(model, tmp_path, DropoutRateControl(ad.RestartController()), max_epochs=1)
    assert first["start"] == second["start"]
    assert first["rates"] == second["rates"] == [0.2] * 4


class Score(Uneven):
    """Logs a metric of which values have to tell whether it is a score."""

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("score", self.net.weight.detach().sum() * 0.0 + 0.1 * self.current_epoch + 0.01 * batch.mean())


class Settled(DropoutRateControl):
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        super().on_train_epoch_start(trainer, pl_module)
        if trainer.current_epoch == 1 and trainer.global_rank == 1:  # as its own measurement would settle it
            self.monitored.sign, self.monitored.sure = -1, True


def test_all_processes_take_the_metric_for_what_the_first_does(tmp_path: Path) -> None:
    first, second = fit_pair(Score(TRAIN, [[1.0], [1.0]]), tmp_path, Settled(MOVES))
    assert [signals["val_loss"] for signals in first["signals"]] == pytest.approx([0.01, 0.11, 0.21])
    assert first["rates"] == second["rates"]


def test_the_default_rule_steers_where_one_process_has_no_validation_data(tmp_path: Path) -> None:
    model = Uneven([[1.0, 2.0] * 8, [1.0, 3.0] * 8], [[2.0, 4.0] * 4, []], batch_size=2)
    first, second = fit_pair(model, tmp_path, AdaptiveDropout(start=0.3), max_epochs=6, limit_train_batches=8)
    assert first["rates"] == second["rates"]
    assert not any(reason.startswith("no decision") for reason in first["reasons"])
    assert {"clean_loss", "gap_z"} <= set(first["signals"][-1])


class Metric(Uneven):
    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.mean = MeanMetric()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.mean.update(batch.mean() + 0.0 * torch.rand(()))
        self.log("val_loss", self.mean)


def test_metric_objects_are_not_gathered_over_processes_in_a_measurement(tmp_path: Path) -> None:
    # The first process measures one batch, as all of its examples are the same, the second two.
    train = [[1.0] * 16, [float(number) for number in range(16)]]
    model = Metric(train, [[2.0, 4.0] * 4, [1.0] * 4], 2)
    first, second = fit_pair(model, tmp_path, AdaptiveDropout(start=0.3), max_epochs=3, limit_train_batches=8)
    assert first["signals"][-1]["clean_loss"] == 1.25  # the mean of 1, and of .5 and 2.5
    assert first["rates"] == second["rates"]
