"""Signals in the middle of a decision, and snapshots whose disk is full or whose folder is gone."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from adaptive_dropout.steering import snapshot as snapshots
from adaptive_dropout.steering.rewinder import Rewinder
from adaptive_dropout.steering.snapshot import Snapshot
from adaptive_dropout.tracking import read_run
from adaptive_dropout.tracking.decisions import DecisionsFile
from tests.steering.test_loop import Script, loop_of


def decide(loop: Any, count: int) -> None:
    for _ in range(count):
        loop.before_step()
        loop.decide({"step": len(loop.run.decisions) + 1, "val_loss": 1.0})


@pytest.mark.parametrize("place", ["take", "write", "restore"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_the_decision_is_whole(
    place: str, number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, model, _ = loop_of(Script("i.ir.i"))
    loop.record_in(tmp_path)
    decide(loop, 2)
    owner, name = {"take": (Snapshot, "take"), "write": (DecisionsFile, "add"), "restore": (Rewinder, "restore")}[place]
    plain = getattr(owner, name)

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), number)
        return plain(*arguments)

    def stop(received: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, stop)
    monkeypatch.setattr(owner, name, interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            decide(loop, 3)
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
        loop.close()
    assert read_run(tmp_path).lines() == loop.run.lines()
    assert loop.run.decisions[-1].after == loop.state.rates == {"1": model[1].p}
    assert loop._rewinder is not None
    assert loop._rewinder.has_best
    assert not (place == "restore" and loop._rewinder.waits)


def full(state: Any, file: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_costs_the_new_best_weights_and_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    loop, model, _ = loop_of(Script("i.ii.r.."), folder=tmp_path, warn=warned.append)
    decide(loop, 2)
    kept = model[0].weight.detach().clone()
    monkeypatch.setattr(snapshots.torch, "save", full)
    with torch.no_grad():
        model[0].weight.add_(1.0)
    decide(loop, 6)
    (line,) = warned
    assert line.startswith("the best weights are not kept (no snapshot written to")
    assert "No space left on device" in line
    assert torch.equal(model[0].weight, kept), "the rewind did not go back to the weights kept before"


def test_a_folder_that_vanishes_costs_the_rewind_and_one_warning_for_each_loss(tmp_path: Path) -> None:
    warned: list[str] = []
    loop, model, _ = loop_of(Script("i.r.r."), folder=tmp_path / "kept", warn=warned.append)
    decide(loop, 2)
    shutil.rmtree(tmp_path / "kept")
    with torch.no_grad():
        model[0].weight.add_(1.0)
    now = model[0].weight.detach().clone()
    decide(loop, 4)
    assert loop.state_dict()["snapshots"]["best"] == {}
    loop.finish()
    assert [line.partition(" (")[0] for line in warned] == [
        "the best weights are not restored",
        "a checkpoint lacks the best weights",
        "a checkpoint lacks the initial weights",
    ]
    assert all("\n" not in line for line in warned)
    assert torch.equal(model[0].weight, now)
