"""The clean loss, measured while a real run trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import Measuring, Turn, Watch, fit, task
from tests.callbacks.toy import Memory

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
]


class Counting(Classifier):
    """Logs its metrics as objects and as a collection, and counts what they are shown."""

    def __init__(self) -> None:
        super().__init__(MLP(64, 10, (32,), lambda: ad.Dropout(0.3)), 10)
        self.shown = MulticlassAccuracy(10, average="micro")
        self.extra = MetricCollection({"a": MulticlassAccuracy(10), "b": MulticlassAccuracy(10, average="micro")})
        self.counts: list[int] = []

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        self.shown.update(self(batch[0]), batch[1])
        self.extra.update(self(batch[0]), batch[1])
        self.log("shown", self.shown)
        self.log_dict(self.extra)

    def on_validation_epoch_end(self) -> None:
        self.counts.append(int((self.shown.tp + self.shown.fn).sum()))


def test_measuring_the_clean_loss_touches_neither_metrics_nor_logs_nor_noise(tmp_path: Path) -> None:
    rows, watches = [], []
    for controller in (ad.FixedController(), ad.RewindController(ad.FixedController())):
        torch.manual_seed(3)
        model, logger, watch = Counting(), Memory(), Watch()
        torch.manual_seed(4)
        fit(model, tmp_path, [DropoutRateControl(controller), watch], logger=logger, log_every_n_steps=1)
        assert model.counts == [90] * 5
        assert model.training
        rows.append([r for r in logger.rows if "val_loss" in r[1] or "train_loss" in r[1]])
        watches.append(watch)
    assert rows[0] == rows[1]
    assert all(torch.equal(a, b) for a, b in zip(watches[0].weights, watches[1].weights, strict=True))


def test_the_clean_loss_is_of_training_data_without_dropout(tmp_path: Path) -> None:
    control, model = DropoutRateControl(Measuring("i....")), task()
    fit(model, tmp_path, [control])
    assert isinstance(control.state, Turn)
    seen = control.state.seen
    assert seen[0]["trivial_loss"] == pytest.approx(2.3, abs=0.1)  # ln 10, before any training
    assert [s["clean_loss"] for s in seen] == sorted((s["clean_loss"] for s in seen), reverse=True)
    assert [s["clean_drop_z"] > 2 for s in seen] == [False, True, True, True, True]


class Breaks(Classifier):
    """Its second validation breaks off behind what it has logged."""

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        if self.trainer.current_epoch == 1:
            raise RuntimeError("broken off")


def test_the_model_logs_as_before_also_where_a_validation_is_broken_off(tmp_path: Path) -> None:
    whole, broken = task(), Breaks(MLP(64, 10, (8,), lambda: ad.Dropout(0.3)), 10)
    fit(whole, tmp_path, [DropoutRateControl(Measuring("....."))])
    with pytest.raises(RuntimeError, match="broken off"):
        fit(broken, tmp_path, [DropoutRateControl(Measuring("....."))])
    misled = task()
    with pytest.raises(KeyError, match="monitor 'valid' is not logged"):
        fit(misled, tmp_path, [DropoutRateControl(Measuring("....."), monitor="valid")], num_sanity_val_steps=1)
    assert ["log" in vars(model) for model in (whole, broken, misled)] == [False] * 3


def test_small_batches_give_fewer_parts_which_stay_the_same(tmp_path: Path) -> None:
    control = DropoutRateControl(Measuring("...."))
    fit(task(), tmp_path, [control], batch_size=2, limit_train_batches=2, limit_val_batches=4, max_epochs=4)
    assert isinstance(control.state, Turn)
    assert len(control.state.seen) == 4
