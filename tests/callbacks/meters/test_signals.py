"""Signals that the processes of a run do not share: what is decided on is the same for all."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import fit
from tests.callbacks.test_control import Recorder, signals_of
from tests.callbacks.toy import Toy, fit as fit_toy

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
    pytest.mark.filterwarnings("ignore:It is recommended to use .*sync_dist=True"),  # it is what is tested
]

fit_two = functools.partial(fit_toy, strategy="ddp_fork", devices=2, num_sanity_val_steps=0, max_epochs=1)


def on_both(folder: Path) -> list[Any]:
    return [eval((folder / f"rank{rank}").read_text()) for rank in (0, 1)]


class Diverges(Classifier):
    """The validation loss of one process is NaN once; each counts how often its validation_step runs."""

    def __init__(self, control: DropoutRateControl) -> None:
        super().__init__(MLP(64, 10, (32,), lambda: ad.Dropout(0.3)), 10)
        self.control, self.validated = control, 0

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.validated += 1
        lost = self.global_rank == 1 and self.current_epoch == 2
        self.log("val_loss", self.loss(self(batch[0]), batch[1]) * (math.nan if lost else 1.0))

    def on_train_end(self) -> None:
        seen = (self.control.state.rewinds, ad.get_rates(self), self.validated)
        weights = nn.utils.parameters_to_vector(self.parameters()).sum().item()
        (Path(self.trainer.default_root_dir) / f"rank{self.global_rank}").write_text(repr((*seen, weights)))


@pytest.mark.slow
def test_where_one_process_has_diverged_all_rewind_and_none_measures(tmp_path: Path) -> None:
    torch.manual_seed(3)
    control = DropoutRateControl(ad.RewindController())
    fit(Diverges(control), tmp_path, [control], strategy="ddp_fork", devices=2, max_epochs=4)
    first, second = on_both(tmp_path)
    assert first == second
    assert first[0] == 1
    assert 0 < first[1]["network.dropout1"] < 0.3


class Apart(Toy):
    """Logs a metric on the first process only."""

    def __init__(self, control: DropoutRateControl) -> None:
        super().__init__([1.0])
        self.control = control

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("val_loss", float(self.global_rank))
        if self.global_rank == 0:
            self.log("mine", 1.0, rank_zero_only=True)

    def on_train_end(self) -> None:
        (Path(self.trainer.default_root_dir) / f"rank{self.global_rank}").write_text(repr(signals_of(self.control)))


def test_a_metric_that_one_process_logs_is_no_signal_and_the_others_are_averaged(tmp_path: Path) -> None:
    control = DropoutRateControl(Recorder())
    fit_two(Apart(control), tmp_path, [control])
    first, second = on_both(tmp_path)
    assert first == second
    (signals,) = first
    assert signals["val_loss"] == 0.5
    assert "mine" not in signals


def test_processes_without_a_training_loss_decide_too(tmp_path: Path) -> None:
    class Silent(Apart):
        def __init__(self, control: DropoutRateControl) -> None:
            super().__init__(control)
            self.automatic_optimization = False

        def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:  # type: ignore[override]
            self.optimizers().step()

    control = DropoutRateControl(Recorder())
    fit_two(Silent(control), tmp_path, [control])
    first, second = on_both(tmp_path)
    assert first == second
    assert [signals.get("train_loss") for signals in first] == [None]
