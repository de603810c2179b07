from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl, DropoutRateMonitor, DropoutRateScheduler
from tests.callbacks.toy import Memory, Toy, fit, loader

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),  # resumed without the ModelCheckpoint
]


class Stream(IterableDataset[Tensor]):
    """Examples without a number of them known in advance."""

    def __iter__(self) -> Iterator[Tensor]:
        return iter([torch.ones(1)] * 4)


def linear(steps: float = 1.0) -> ad.Dropout:
    return ad.Dropout(ad.LinearSchedule(0.6, 0.0, steps=steps))


def test_a_schedule_over_the_whole_run_is_resolved_and_followed(tmp_path: Path) -> None:
    model = Toy([1.0], linear())
    fit(model, tmp_path, [DropoutRateScheduler()])
    assert model.seen == pytest.approx([0.6 * (1 - step / 12) for step in range(12)])


def test_accumulated_batches_share_the_rate_of_their_step(tmp_path: Path) -> None:
    model = Toy([1.0], linear())
    fit(model, tmp_path, [DropoutRateScheduler()], accumulate_grad_batches=2, max_epochs=1)
    assert model.seen == pytest.approx([0.6, 0.6, 0.3, 0.3])


def test_a_resumed_run_follows_the_same_curve(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / "saved", save_last=True)
    fit(Toy([1.0], linear(12)), tmp_path, [DropoutRateScheduler(), checkpoint], max_epochs=1, enable_checkpointing=True)
    model = Toy([1.0], linear(12))
    fit(model, tmp_path, [DropoutRateScheduler()], ckpt_path=tmp_path / "saved" / "last.ckpt")
    assert model.seen == pytest.approx([0.6 * (1 - step / 12) for step in range(4, 12)])


class Adversaries(Toy):
    """Two optimizers that both step on each batch, as those of a GAN: Lightning counts the steps of both."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__([1.0], layer)
        self.automatic_optimization = False

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        for optimizer in self.optimizers():
            optimizer.zero_grad()
            self.manual_backward(loss, retain_graph=True)
            optimizer.step()
        return loss.detach()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:  # type: ignore[override]
        return [torch.optim.SGD(self.parameters(), lr=0.0) for _ in range(2)]


def test_two_optimizers_do_not_double_the_speed_of_a_schedule(tmp_path: Path) -> None:
    model = Adversaries(linear())
    run = fit(model, tmp_path, [DropoutRateScheduler()])
    assert run.global_step == 24
    assert model.seen == pytest.approx([0.6 * (1 - step / 12) for step in range(12)])


def test_the_steps_of_two_optimizers_that_end_a_run_end_its_schedule(tmp_path: Path) -> None:
    model = Adversaries(linear())
    fit(model, tmp_path, [DropoutRateScheduler()], max_steps=16, max_epochs=-1)
    assert model.seen == pytest.approx([0.6 * (1 - step / 8) for step in range(8)])


def test_a_resumed_run_of_two_optimizers_follows_the_same_curve(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / "saved", save_last=True)
    saving: Any = {"enable_checkpointing": True, "max_epochs": 1}
    fit(Adversaries(linear(12)), tmp_path, [DropoutRateScheduler(), checkpoint], **saving)
    model = Adversaries(linear(12))
    fit(model, tmp_path, [DropoutRateScheduler()], ckpt_path=tmp_path / "saved" / "last.ckpt")
    assert model.seen == pytest.approx([0.6 * (1 - step / 12) for step in range(4, 12)])


def test_the_steps_of_the_monitor_and_of_the_control_are_the_same_under_two_optimizers(tmp_path: Path) -> None:
    control, monitor = DropoutRateControl(ad.FixedController()), DropoutRateMonitor()
    fit(Adversaries(ad.Dropout(0.3)), tmp_path, [control, monitor])
    run = control.run
    assert run is not None
    assert [decision.step for decision in run.decisions] == [4, 8, 12]
    assert [step for step, _, _ in monitor.history.losses()] == [4, 8, 12]
    assert sorted({point.step for point in monitor.history.points}) == list(range(13))


def test_a_fraction_of_an_endless_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a run without an end"):
        fit(Toy([1.0], linear()), tmp_path, [DropoutRateScheduler()], max_epochs=-1)


def test_a_fraction_of_a_stream_of_unknown_length_is_refused(tmp_path: Path) -> None:
    settings: Any = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = L.Trainer(
        callbacks=[DropoutRateScheduler()], logger=False, default_root_dir=tmp_path, accelerator="cpu", max_epochs=1,
        **settings,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"'drop' is a fraction of a run without an end; .* or the trainer max_steps"):
        trainer.fit(Toy([1.0], linear()), DataLoader(Stream()), loader(1))


def test_a_scheduler_with_nothing_to_do_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="DropoutRateScheduler finds no ScheduledRate"):
        fit(Toy([1.0]), tmp_path, [DropoutRateScheduler()])


@pytest.mark.parametrize("callback", [DropoutRateMonitor(), DropoutRateControl(ad.FixedController())])
def test_schedules_that_nothing_drives_are_told(tmp_path: Path, callback: object) -> None:
    layer = nn.Sequential(linear(), ad.Dropout(0.1))
    layer.p = 0.0
    with pytest.raises(ValueError, match=r"nothing drives the schedules of \['drop.0'\]; add DropoutRateScheduler"):
        fit(Toy([1.0], layer), tmp_path, [callback])  # type: ignore[list-item]


def test_the_monitor_logs_the_rate_that_each_step_used(tmp_path: Path) -> None:
    logger, model = Memory(), Toy([1.0], linear())
    callbacks = [DropoutRateScheduler(), DropoutRateMonitor()]
    run = fit(model, tmp_path, callbacks, logger=logger, enable_progress_bar=True)
    assert [p for _, p in logger.series("dropout/drop")] == pytest.approx(model.seen)
    assert [step for step, _ in logger.series("dropout/drop")] == list(range(12))
    assert run.progress_bar_metrics["dropout"] == pytest.approx(model.seen[-1], abs=1e-3)


def test_the_monitor_logs_at_the_loggers_interval(tmp_path: Path) -> None:
    logger = Memory()
    fit(Toy([1.0]), tmp_path, [DropoutRateMonitor()], logger=logger, log_every_n_steps=3)
    assert [step for step, _ in logger.series("dropout/drop")] == [2, 5, 8, 11]


def test_the_monitor_logs_learned_rates(tmp_path: Path) -> None:
    logger = Memory()
    fit(Toy([1.0], ad.ConcreteDropout(0.1)), tmp_path, [DropoutRateMonitor()], logger=logger, max_epochs=1)
    assert [p for _, p in logger.series("dropout/drop")] == pytest.approx([0.1] * 4)


def test_the_history_holds_losses_and_the_rates_of_every_decision(tmp_path: Path) -> None:
    monitor = DropoutRateMonitor()
    control = DropoutRateControl(ad.GapController(low=-9.0, high=-8.0, change=0.1))
    fit(Toy([5.0, 4.0, 3.0]), tmp_path, [control, monitor])
    assert monitor.history.losses() == [(4, 2.5, 5.0), (8, 6.5, 4.0), (12, 10.5, 3.0)]
    (summary,) = monitor.history.summary().values()
    assert (summary.start, summary.end) == pytest.approx((0.3, 0.6))


def test_the_history_survives_a_checkpoint(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / "saved", save_last=True)
    fit(Toy([5.0, 4.0]), tmp_path, [DropoutRateMonitor(), checkpoint], max_epochs=2, enable_checkpointing=True)
    monitor, model = DropoutRateMonitor(), Toy([3.0])
    model.batches = 8
    fit(model, tmp_path, [monitor], ckpt_path=tmp_path / "saved" / "last.ckpt", num_sanity_val_steps=0)
    assert monitor.history.losses() == [(4, 2.5, 5.0), (8, 6.5, 4.0), (12, 10.5, 3.0)]


def test_a_second_fit_with_the_same_monitor_has_a_history_of_its_own(tmp_path: Path) -> None:
    monitor = DropoutRateMonitor()
    for p in (0.3, 0.5):
        fit(Toy([5.0, 4.0, 3.0], ad.Dropout(p)), tmp_path, [monitor])
    assert monitor.history.losses() == [(4, 2.5, 5.0), (8, 6.5, 4.0), (12, 10.5, 3.0)]
    assert {point.rates["drop"] for point in monitor.history.points} == {0.5}


def test_a_model_without_dropout_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="DropoutRateMonitor finds no Rate"):
        fit(Toy([1.0], nn.Identity()), tmp_path, [DropoutRateMonitor()])


def test_rates_work_in_every_precision(tmp_path: Path) -> None:
    for precision in ("bf16-mixed", "bf16-true", "64-true"):
        model = Toy([1.0])
        fit(model, tmp_path, [DropoutRateControl(ad.GapController(change=0.001))], precision=precision)
        assert model.drop.rate.value.dtype == torch.float32
        assert model.drop.rate.value.item() == pytest.approx(model.drop.p, abs=1e-7)
        assert model.drop.p == pytest.approx(0.3 - 0.003)
