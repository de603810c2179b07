"""However a run ends, nothing is lost: the best weights are in the model, or all that is needed in the checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from adaptive_dropout.callbacks import AdaptiveDropout
from tests.callbacks.scripted import FewDigits, Measuring, adaptive_run, fit, task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
]


class StopAt(L.Callback):
    """Asks the trainer to stop in the middle of an epoch."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        trainer.should_stop = trainer.global_step >= self.step


@pytest.mark.parametrize("steps", [42, 62])
def test_a_run_told_to_stop_in_mid_epoch_ends_with_the_best_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], steps: int
) -> None:
    adaptive, model = adaptive_run(tmp_path, StopAt(steps))
    assert adaptive.state.age < model.trainer.global_step == steps  # type: ignore[union-attr]
    (measured,) = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False).validate(
        model, FewDigits(), verbose=False
    )
    assert measured["val_loss"] == pytest.approx(adaptive.state.best, rel=1e-6)  # type: ignore[union-attr]
    assert "dropout rates found" in capsys.readouterr().out


def test_a_run_told_to_stop_before_its_first_validation_keeps_what_it_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = task()
    start = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    run = fit(model, tmp_path, [AdaptiveDropout(), StopAt(2)])
    assert run.global_step == 2
    assert not torch.equal(torch.nn.utils.parameters_to_vector(model.parameters()), start)


class BreakOff(L.Callback):
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 3:
            raise RuntimeError("broken off")


@pytest.mark.parametrize("move", ["r", "s"])
def test_a_run_broken_off_before_it_was_rewound_is_resumed_as_the_unbroken_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], move: str
) -> None:
    controller = Measuring(f"i..{move}..i")
    whole, resumed = task(), task()
    fit(whole, tmp_path, [AdaptiveDropout(controller)], max_epochs=7)
    saves = ModelCheckpoint(tmp_path / "saved", filename="broken", every_n_epochs=100, save_on_exception=True)
    with pytest.raises(RuntimeError, match="broken off"):
        fit(task(), tmp_path, [AdaptiveDropout(controller), BreakOff(), saves], max_epochs=7, enable_checkpointing=True)
    fit(resumed, tmp_path, [AdaptiveDropout(controller)], max_epochs=7, ckpt_path=tmp_path / "saved" / "broken.ckpt")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
