"""What a control writes down: `decisions.jsonl` beside the run, and numbers for every logger."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.callbacks.record import Stopwatch, timed
from adaptive_dropout.tracking import Run, read_run, replay
from tests.callbacks.test_control import TwoRanks
from tests.callbacks.toy import Memory, Toy, fit

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
]

CONTROLLER = ad.PlateauController(patience=1)
LOSSES = [3.0, 2.0, 2.5, 2.6, 2.7, 2.8, 2.9, 1.0]


def steps(run: Run) -> list[int]:
    return [decision.step for decision in run.decisions]


def test_every_decision_is_beside_the_run_with_what_it_was_made_on(tmp_path: Path) -> None:
    control = DropoutRateControl(CONTROLLER)
    fit(Toy(LOSSES), tmp_path, [control], max_epochs=4)
    run = read_run(tmp_path)
    assert run.rates == {"drop": 0.3}
    assert run.controller["init_args"]["patience"] == 1
    assert steps(run) == [4, 8, 12, 16]
    assert [d.signals["val_loss"] for d in run.decisions] == pytest.approx(LOSSES[:4], rel=1e-6)  # of float32
    assert [d.signals["train_loss"] for d in run.decisions] == [2.5, 6.5, 10.5, 14.5]
    assert [d.improved for d in run.decisions] == [True, True, False, False]
    assert run.decisions[2].reason == "val_loss stalled for 1 validations, gap -8: lowered by 0.05"
    assert run.decisions[2].before == {"drop": 0.3}
    assert run.decisions[2].after == {"drop": 0.25}
    assert run.decisions[-1].after == control.state.rates  # type: ignore[union-attr]


class Tell(L.Callback):
    """Sends the step of each validation."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.pipe.send(trainer.global_step)


def train_for_ever(folder: Path, pipe: Connection) -> None:
    control = DropoutRateControl(ad.GapController(change=0.001))
    fit(Toy([3.0]), folder, [control, Tell(pipe)], max_epochs=100_000, num_sanity_val_steps=0)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*")
def test_kill_9_loses_no_decision_and_leaves_the_next_run_unharmed(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=train_for_ever, args=(tmp_path, there))
    process.start()
    there.close()
    made = [here.recv() for _ in range(25)]
    process.kill()
    with contextlib.suppress(EOFError):
        while True:
            made.append(here.recv())
    process.join()
    assert process.exitcode == -signal.SIGKILL
    killed = read_run(tmp_path)
    assert steps(killed)[: len(made)] == made
    assert len(killed.decisions) - len(made) in (0, 1)  # killed between writing and telling

    fit(Toy(LOSSES), tmp_path, [DropoutRateControl(CONTROLLER)], max_epochs=3)
    assert steps(read_run(tmp_path)) == [4, 8, 12]
    assert read_run(tmp_path / "decisions-1.jsonl").lines() == killed.lines()


def interrupted(folder: Path, **settings: Any) -> Path:
    """A run that made six decisions; its checkpoint after the fourth."""
    checkpoint = ModelCheckpoint(folder / "saved", filename="{epoch}", save_top_k=-1)
    control = DropoutRateControl(CONTROLLER)
    fit(Toy(LOSSES), folder, [control, checkpoint], max_epochs=6, enable_checkpointing=True, **settings)
    return folder / "saved" / "epoch=3.ckpt"


def resumed(folder: Path, checkpoint: Path, **settings: Any) -> None:
    model = Toy(LOSSES[4:])
    model.batches = 16
    control = DropoutRateControl(CONTROLLER)
    fit(model, folder, [control], max_epochs=8, ckpt_path=checkpoint, num_sanity_val_steps=0, **settings)


def test_a_resumed_run_goes_on_in_the_same_file_without_doubling_lines(tmp_path: Path) -> None:
    checkpoint = interrupted(tmp_path)
    before = read_run(tmp_path)
    assert steps(before) == [4, 8, 12, 16, 20, 24]
    resumed(tmp_path, checkpoint)
    after = read_run(tmp_path)
    assert steps(after) == [4, 8, 12, 16, 20, 24, 28, 32]
    assert after.id == before.id
    assert not list(tmp_path.glob("decisions-*"))
    assert [s.rates for s in replay(after, CONTROLLER)[1:]] == [d.after for d in after.decisions]


def test_a_run_resumed_in_another_folder_has_all_its_decisions_there(tmp_path: Path) -> None:
    checkpoint = interrupted(tmp_path, logger=CSVLogger(tmp_path))
    resumed(tmp_path, checkpoint, logger=CSVLogger(tmp_path))
    first, second = (tmp_path / "lightning_logs" / f"version_{number}" for number in (0, 1))
    assert steps(read_run(first)) == [4, 8, 12, 16, 20, 24]
    assert steps(read_run(second)) == [4, 8, 12, 16, 20, 24, 28, 32]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("file", "'.*/file' is a file; name a folder, or a new place"),
        ("file/run", "no folder can be made at '.*/file/run': '.*/file' is a file; name a folder, or a new place"),
        ("link", "'.*/link' is a link to 'nowhere', which does not exist; make that folder, or name another"),
        ("a" * 300, "the name 'a+…a+' is longer than the 255 bytes of a name; shorten it"),
    ],
)
def test_a_folder_that_cannot_be_written_to_is_one_warning_and_training_goes_on(
    place: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "link").symlink_to("nowhere")
    control = DropoutRateControl(CONTROLLER)
    told = rf"decisions are not written to decisions.jsonl \({why}\); training goes on without it$"
    with pytest.warns(UserWarning, match=told) as caught:
        fit(Toy(LOSSES), tmp_path / place, [control], max_epochs=4)
    assert len([w for w in caught if "decisions" in str(w.message)]) == 1
    assert len(str(caught[0].message).splitlines()) == 1
    assert control.state is not None
    assert control.state.rates == {"drop": 0.2}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full")
def test_a_disk_that_fills_up_is_one_warning_and_with_room_at_the_end_nothing_is_lost(tmp_path: Path) -> None:
    control = DropoutRateControl(CONTROLLER)

    class Fill(L.Callback):
        def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            if trainer.current_epoch == 2:
                file = control.loop._file._file.fileno()  # type: ignore[union-attr]
                with open("/dev/full", "w") as full:
                    os.dup2(full.fileno(), file)

    with pytest.warns(UserWarning, match=r"No space left on device") as caught:
        fit(Toy(LOSSES), tmp_path, [control, Fill()], max_epochs=5)
    assert len([w for w in caught if "decisions" in str(w.message)]) == 1
    assert steps(read_run(tmp_path)) == [4, 8, 12, 16, 20]
    assert control.state is not None
    assert control.state.rates == {"drop": pytest.approx(0.15)}


def test_a_folder_that_vanishes_is_one_warning_and_is_made_again_with_all_decisions(tmp_path: Path) -> None:
    class Remove(L.Callback):
        def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            if trainer.current_epoch == 2:
                shutil.rmtree(tmp_path / "run")

    with pytest.warns(UserWarning, match="decisions.jsonl was deleted, and is written anew in") as caught:
        fit(Toy(LOSSES), tmp_path / "run", [DropoutRateControl(CONTROLLER), Remove()], max_epochs=5)
    assert len([w for w in caught if "decisions" in str(w.message)]) == 1
    assert steps(read_run(tmp_path / "run")) == [4, 8, 12, 16, 20]


def test_a_logger_that_fails_is_one_warning_and_training_goes_on(tmp_path: Path) -> None:
    class Dead(Memory):
        def log_metrics(self, metrics: Any, step: int | None = None) -> None:
            if "dropout/drop" in metrics:
                raise ConnectionError("the service is gone")

    logger, control = Memory(), DropoutRateControl(CONTROLLER)
    with pytest.warns(
        UserWarning, match=r"Dead takes no more decisions \(ConnectionError: the service is gone\)"
    ) as caught:
        fit(Toy(LOSSES), tmp_path, [control], logger=[Dead(), logger], max_epochs=4)
    assert len([w for w in caught if "decisions" in str(w.message)]) == 1
    assert len(logger.series("dropout/drop")) == 4


def test_of_several_processes_one_writes(tmp_path: Path) -> None:
    control = DropoutRateControl(ad.GapController(low=-9.0, high=-8.0, change=0.1))
    fit(TwoRanks(tmp_path), tmp_path, [control], strategy="ddp_fork", devices=2, num_sanity_val_steps=0)
    assert len(read_run(tmp_path).decisions) == 3
    assert not list(tmp_path.glob("decisions-*"))


def test_a_dry_run_leaves_no_file(tmp_path: Path) -> None:
    fit(Toy(LOSSES), tmp_path, [DropoutRateControl(CONTROLLER)], fast_dev_run=True)
    assert not list(tmp_path.rglob("*.jsonl"))


def test_loggers_other_than_wandb_get_numbers_only(tmp_path: Path) -> None:
    logger = Memory()
    fit(Toy(LOSSES), tmp_path, [DropoutRateControl(CONTROLLER)], logger=[CSVLogger(tmp_path), logger], max_epochs=3)
    assert len(logger.series("dropout/drop")) == 3
    assert all(isinstance(value, (int, float)) for _, row in logger.rows for value in row.values())
    assert "dropout_control/best" in (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").read_text()
    assert len(read_run(tmp_path / "lightning_logs" / "version_0").decisions) == 3


def test_a_training_loss_that_is_not_finite_is_a_reason(tmp_path: Path) -> None:
    class Broken(Toy):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            return loss + float("nan") if 4 < self.batches <= 8 else loss

    with pytest.warns(UserWarning, match="no decision: train_loss is nan at step 8; lower the learning rate, or check"):
        fit(Broken(LOSSES), tmp_path, [DropoutRateControl(CONTROLLER)], max_epochs=3)
    run = read_run(tmp_path)
    assert run.decisions[1].reason == "no decision: train_loss is nan"
    assert [s.reason for s in replay(run, CONTROLLER)[1:]] == [d.reason for d in run.decisions]


def test_the_stopwatch_counts_the_hooks_of_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 3.0, 10.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))

    class Owner:
        def __init__(self) -> None:
            self.stopwatch = Stopwatch()

        @timed
        def hook(self) -> None: ...

    owner = Owner()
    owner.hook()
    assert owner.stopwatch.ratio() == 10.0 / 8.0


def test_the_old_name_of_the_run_works_and_warns(tmp_path: Path) -> None:
    control = DropoutRateControl(CONTROLLER)
    fit(Toy(LOSSES), tmp_path, [control])
    with pytest.warns(DeprecationWarning, match=r"record.run is now called run"):
        assert control.record.run is control.run
