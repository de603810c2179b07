"""The record of a run, as lines and back, and what is summed up of it."""

from __future__ import annotations

import json
import math
import weakref
from itertools import accumulate

import pytest

import adaptive_dropout as ad
from adaptive_dropout.controllers import controller_from_dict, controller_to_dict, state_to_dict
from adaptive_dropout.controllers.base import update_safely
from adaptive_dropout.tracking import Decision, Run, replay
from adaptive_dropout.tracking.run import replay_one_by_one
from adaptive_dropout.tracking.summary import decisions_table, run_summary

CONTROLLER = ad.RewindController()
RATES = {"a": 0.3, "b.c": 0.1}


def signal_log() -> list[dict[str, float]]:
    """Two hundred validations in which training stalls, diverges, and once has no finite training loss."""
    log = [
        {
            "train_loss": 1 / (n + 1), "val_loss": abs(n - 30) / 70 + 0.5, "clean_loss": 0.9 / (n + 1),
            "gap_z": n - 7.0, "clean_drop_z": n - 10.0, "trivial_loss": 3.0, "step": 10 * (n + 1), "total_steps": 2000,
            "epoch": n,
        }
        for n in range(200)
    ]  # fmt: skip
    log[50]["val_loss"] = math.inf
    log[60]["train_loss"] = math.nan
    return log


def recorded(controller: ad.Controller = CONTROLLER) -> Run:
    """The run of ``controller`` on `signal_log`."""
    start = controller.init(RATES)
    states = list(accumulate(signal_log(), lambda s, seen: update_safely(controller, s, seen), initial=start))
    decisions = [
        Decision(int(seen["step"]), seen, before.rates, s.rates, s.improved, s.rewind, s.restart, s.reason)
        for seen, before, s in zip(signal_log(), states, states[1:], strict=False)
    ]
    settings = controller_to_dict(controller)
    return Run("run-1", settings, "val_loss", RATES, state_to_dict(start), 0, decisions)


def test_lines_and_back_are_the_same_run() -> None:
    run = recorded()
    twin, broken = Run.from_lines(run.lines())
    assert broken is None
    # NaN is not equal to itself, so the lines are compared.
    assert twin.lines() == run.lines()
    assert math.isnan(twin.decisions[60].signals["train_loss"])
    assert twin.decisions[50].signals["val_loss"] == math.inf


def test_every_line_is_strict_json() -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    for line in recorded().lines():
        json.loads(line, parse_constant=refuse)
        assert "\n" not in line


def test_its_own_controller_replayed_gives_its_rates_to_the_last_bit() -> None:
    run, _ = Run.from_lines(recorded().lines())
    states = replay(run, controller_from_dict(run.controller))
    assert [state.rates for state in states[1:]] == [decision.after for decision in run.decisions]
    assert [state.reason for state in states[1:]] == [decision.reason for decision in run.decisions]
    assert len({state.rates["a"] for state in states}) > 5, "the rates never moved"
    assert any(state.rewind for state in states)


def test_another_controller_decides_on_the_same_signals_from_the_same_start() -> None:
    run = recorded()
    del run.decisions[50:]  # where validation diverges, with which this rule cannot go on
    states = replay(run, ad.GapController(low=-1.0, high=0.1, change=0.05))
    assert states[0].rates == RATES
    assert states[1].rates == RATES  # gap -0.07
    assert states[-1].rates == {"a": 1.0, "b.c": 1.0}


def test_states_replayed_one_by_one_are_the_same_and_none_is_kept() -> None:
    run, whole = recorded(), replay(recorded(), CONTROLLER)
    seen = []
    for state, expected in zip(replay_one_by_one(run, CONTROLLER), whole, strict=True):
        assert state == expected
        seen.append(weakref.ref(state))
    assert sum(ref() is not None for ref in seen) < 5


def test_a_run_that_was_resumed_elsewhere_goes_on_from_its_state() -> None:
    whole = recorded()
    middle = replay(whole, CONTROLLER)[100]
    rest = Run("run-1", whole.controller, "val_loss", middle.rates, state_to_dict(middle), 1000, whole.decisions[100:])
    rest, _ = Run.from_lines(rest.lines())
    assert [state.rates for state in replay(rest, CONTROLLER)[1:]] == [d.after for d in whole.decisions[100:]]


def test_a_signal_that_the_run_did_not_measure_is_named() -> None:
    with pytest.raises(KeyError, match="no signal named 'hypergradient/a'; there are"):
        replay(recorded(), ad.HypergradientController())


def test_a_cut_line_loses_what_follows_and_is_numbered() -> None:
    lines = recorded().lines()
    run, broken = Run.from_lines([*lines[:8], lines[8][:50]])
    assert broken is not None
    assert broken.startswith("line 9 (Unterminated string")
    assert len(run.decisions) == 7


def test_a_second_header_begins_anew() -> None:
    run = recorded()
    undone = run.lines()[:30]
    twin, _ = Run.from_lines([*undone, *run.lines()[:11]])
    assert [decision.step for decision in twin.decisions] == [10 * n for n in range(1, 11)]


@pytest.mark.parametrize("lines", [[], ["{}"], ["[1]"], ["no json"], ['{"controller": 1}']])
def test_what_does_not_begin_with_a_header_is_refused(lines: list[str]) -> None:
    with pytest.raises(ValueError, match="does not begin with the controller"):
        Run.from_lines(lines)


def test_the_history_has_the_start_and_every_decision() -> None:
    history = recorded().history()
    assert history.points[0].rates == RATES
    assert len(history.points) == 201
    assert history.losses()[0] == (10, 1.0, pytest.approx(30 / 70 + 0.5))
    assert len(history.losses()) == 199  # the diverged one has no place in a figure


def test_the_names_of_the_summary_are_a_public_contract() -> None:
    run = recorded()
    summary = run_summary(run, cost_ratio=1.05)
    assert set(summary) == {
        "dropout_summary/rate",
        "dropout_summary/decisions",
        "dropout_summary/rewinds",
        "dropout_summary/restarts",
        "dropout_summary/gap",
        "dropout_summary/cost_ratio",
        "dropout_summary/best_val_loss",
        "dropout_summary/best_step",
        "dropout_summary/final/a",
        "dropout_summary/final/b_c",
    }
    assert summary["dropout_summary/best_step"] == 310
    assert summary["dropout_summary/best_val_loss"] == 0.5
    assert summary["dropout_summary/rewinds"] == len(run.rewinds()) > 0
    assert summary["dropout_summary/cost_ratio"] == 1.05
    last = run.decisions[-1]
    assert summary["dropout_summary/gap"] == last.signals["val_loss"] - last.signals["train_loss"]
    assert summary["dropout_summary/rate"] == pytest.approx(sum(last.after.values()) / 2)


def test_the_columns_of_the_table_are_a_public_contract() -> None:
    columns, rows = decisions_table(recorded())
    assert columns == [
        "step", "reason", "improved", "rewind", "restart", "gap",
        "clean_drop_z", "clean_loss", "epoch", "gap_z", "total_steps", "train_loss", "trivial_loss", "val_loss",
        "before/a", "after/a", "before/b.c", "after/b.c",
    ]  # fmt: skip
    assert len(rows) == 200
    assert all(len(row) == len(columns) for row in rows)
    moved = [row for row in rows if row[columns.index("before/a")] != row[columns.index("after/a")]]
    assert moved
    assert all(row[columns.index("reason")] for row in moved)


def test_a_run_without_decisions_has_a_summary() -> None:
    run = recorded()
    run.decisions.clear()
    assert run_summary(run, 1.0)["dropout_summary/final/a"] == 0.3
    assert decisions_table(run)[1] == []
