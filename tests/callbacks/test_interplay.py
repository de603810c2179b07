"""Rewinds beside callbacks that read the validation loss: checkpoints, early stopping, learning-rate schedules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch.optim import lr_scheduler

from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import FewDigits, Measuring, Script, StopAfter, Watch, adaptive_run, fit, task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
]


@pytest.mark.parametrize("after_epoch", [True, False])
def test_each_checkpoint_holds_the_weights_whose_validation_loss_it_says(tmp_path: Path, after_epoch: bool) -> None:
    keeps = ModelCheckpoint(tmp_path / "c", monitor="val_loss", save_top_k=-1, save_on_train_epoch_end=after_epoch)
    model = task()
    run = fit(model, tmp_path, [DropoutRateControl(Script("i..rs")), keeps], enable_checkpointing=True)
    assert len(keeps.best_k_models) == 5
    for path, said in keeps.best_k_models.items():
        model.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
        (measured,) = run.validate(model, FewDigits(), verbose=False)
        assert measured["val_loss"] == pytest.approx(float(said), rel=1e-6)


@pytest.mark.parametrize("move", ["r", "s"])
def test_a_run_resumed_from_the_checkpoint_of_a_rewinding_validation_rewinds(tmp_path: Path, move: str) -> None:
    controller = Measuring(f"i..{move}..")
    saves = ModelCheckpoint(tmp_path / "saved", filename="fourth", save_on_train_epoch_end=True)
    whole, resumed = task(), task()
    fit(whole, tmp_path, [DropoutRateControl(controller)], max_epochs=6)
    fit(task(), tmp_path, [DropoutRateControl(controller), saves, StopAfter(4)], enable_checkpointing=True)
    fit(resumed, tmp_path, [DropoutRateControl(controller)], max_epochs=6, ckpt_path=tmp_path / "saved" / "fourth.ckpt")
    for expected, weight in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(expected, weight)


def test_early_stopping_counts_from_the_best_validation_on_over_a_rewind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    losses: list[float] = []

    class Hear(L.Callback):
        def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            losses.append(float(trainer.callback_metrics["val_loss"]))

    early = EarlyStopping("val_loss", patience=12)
    adaptive, _ = adaptive_run(tmp_path, early, Hear(), max_epochs=60)
    assert adaptive.state.rewinds + adaptive.state.restarts >= 1  # type: ignore[union-attr]
    assert len(losses) == losses.index(min(losses)) + 1 + 12


def test_early_stopping_that_leaves_no_time_for_a_rewind_is_warned_of_with_the_number_to_set(tmp_path: Path) -> None:
    expected = r"EarlyStopping\(patience=5\) stops before .* more than 5 validations; set its patience to 20 or more"
    stopping = EarlyStopping("val_loss", patience=5)
    with pytest.warns(UserWarning, match=expected):
        fit(task(), tmp_path, [DropoutRateControl(Script(".")), stopping, StopAfter(1)], max_epochs=60)


def stepwise(optimizer: Any) -> dict[str, Any]:
    return {"scheduler": lr_scheduler.ExponentialLR(optimizer, 0.9), "interval": "step"}


def epochwise(optimizer: Any) -> dict[str, Any]:
    return {"scheduler": lr_scheduler.ExponentialLR(optimizer, 0.5), "interval": "epoch"}


def plateau(optimizer: Any) -> dict[str, Any]:
    return {"scheduler": lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5), "monitor": "zero"}


class Scheduled(Classifier):
    """Logs a metric that never improves, and writes down the learning rate of each batch."""

    def __init__(self, schedule: Any) -> None:
        torch.manual_seed(3)
        super().__init__(task().network, 10)
        self.schedule, self.lrs = schedule, []

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        return {"optimizer": optimizer, "lr_scheduler": self.schedule(optimizer)}

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        self.log("zero", 0.0)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.lrs.append(self.trainer.optimizers[0].param_groups[0]["lr"])


@pytest.mark.parametrize("schedule", [stepwise, epochwise, plateau])
def test_the_learning_rate_goes_on_over_a_rewind(tmp_path: Path, schedule: Any) -> None:
    watch, rewound, plain = Watch(), Scheduled(schedule), Scheduled(schedule)
    run = fit(rewound, tmp_path, [DropoutRateControl(Script("i..r.")), watch])
    fit(plain, tmp_path, [DropoutRateControl(Script("....."))])
    assert torch.equal(watch.moments[3], watch.moments[0])
    assert rewound.lrs == plain.lrs
    assert rewound.lrs[0] > rewound.lrs[8] > rewound.lrs[16]
    assert run.lr_scheduler_configs[0].scheduler.get_last_lr() == [run.optimizers[0].param_groups[0]["lr"]]
