"""Runs that are trained side by side are those of the study."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch

import adaptive_dropout as ad
from adaptive_dropout.networks import MLP, DropoutFactory
from benchmarks.control import cells, data
from benchmarks.control.cells import Cell, Row, run_cell
from benchmarks.control.study_task import ArrayTask, Fitting
from benchmarks.control.tasks import COSINE, SGD, TASKS
from benchmarks.many.__main__ import main, plan
from benchmarks.many.simulate import Planned, is_simulated, simulate
from benchmarks.study.rows import read

pytestmark = pytest.mark.slow


def small(features: int, outputs: int, dropout: DropoutFactory) -> torch.nn.Module:
    return MLP(features, outputs, (16, 16), dropout)


def task(**fitting: object) -> ArrayTask:
    return ArrayTask(Fitting(100, 32, **fitting), functools.partial(data.digits, 100, 0.0), small, 10)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("fitting", [{}, {"optimizer": SGD}, {"lr_scheduler": COSINE}], ids=str)
def test_without_dropout_a_run_is_that_of_lightning(
    fitting: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cells.TASKS, "small", task(**fitting))
    for seed in (0, 1):
        expected = run_cell(Cell("small", seed, "fixed:0"))
        (found,) = simulate(task(**fitting), None, [Planned("fixed:0", seed, 0.0)], "cpu")
        assert found.val_loss == pytest.approx(expected.val_loss, rel=1e-3)
        assert found.test_loss == pytest.approx(expected.test_loss, rel=1e-3)


def test_a_run_does_not_depend_on_those_beside_it() -> None:
    alone = simulate(task(), None, [Planned("fixed:0", 1, 0.0)], "cpu")
    among = simulate(task(), None, [Planned("noisy", 0, 0.5), Planned("fixed:0", 1, 0.0)], "cpu")
    assert among[1].test_loss == pytest.approx(alone[0].test_loss, rel=1e-4)


def test_a_rule_steers_its_run_alone() -> None:
    runs = [Planned("rule", 0, 0.3, ad.RewindController()), Planned("fixed", 0, 0.3)]
    steered, fixed = simulate(task(), None, runs, "cpu")
    assert len(steered.path) == 50
    assert len(set(steered.path)) > 1
    assert set(fixed.path) == {0.3}


def test_a_method_of_the_study_is_planned_by_its_name() -> None:
    assert plan(Cell("digits:200", 3, "fixed:0.4")) == Planned("fixed:0.4", 3, 0.4)
    assert plan(Cell("digits:200", 3, "rewind:0.6")) == Planned("rewind:0.6", 3, 0.6, ad.RewindController())
    assert plan(Cell("digits:200", 3, "restart:0.2")) == Planned("restart:0.2", 3, 0.2, ad.RestartController())
    with pytest.raises(ValueError, match="no rule and no fixed rate"):
        plan(Cell("digits:200", 3, "concrete"))


def test_tasks_with_convolutions_are_left_out() -> None:
    arrays = {name for name, each in TASKS.items() if isinstance(each, ArrayTask) and is_simulated(each)}
    assert {"digits:200", "boston", "mnist:1000"} <= arrays
    assert not arrays & {"mnist:1000:cnn", "cifar10:300"}


def test_the_command_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tasks in (cells.TASKS, TASKS):
        monkeypatch.setitem(tasks, "small", task())
    out = tmp_path / "results.csv"
    arguments = ["--tasks", "small", "--seeds", "0", "--out", str(out), "--methods"]
    main([*arguments, "fixed:0"])
    main([*arguments, "fixed:0", "fixed:0.1"])
    assert [row.method for row in read(out, Row)] == ["fixed:0", "fixed:0.1"]
