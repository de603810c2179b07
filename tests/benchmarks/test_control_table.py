from __future__ import annotations

import math

import pytest

from benchmarks.control.compare import (
    Difference,
    choose_by_validation,
    compare,
    compare_cost,
    compare_oracle,
    find_best_universal,
    index_rows,
    summarize,
)
from benchmarks.control.methods import METHODS
from benchmarks.control.table import write_tables
from benchmarks.control.tasks import TASKS
from benchmarks.study.statistics import mean_and_error
from tests.benchmarks.rows import grid, row


def test_the_standard_error_is_that_of_a_mean() -> None:
    assert mean_and_error([1.0, 2.0, 6.0]) == (pytest.approx(3.0), pytest.approx(math.sqrt(7.0 / 3.0)))
    mean, error = mean_and_error([2.0])
    assert mean == 2.0
    assert math.isnan(error)


def test_the_reference_is_chosen_by_validation_not_by_test() -> None:
    cells = index_rows(grid("a", 0, {"fixed:0.2": (1.0, 3.0), "fixed:0.4": (2.0, 1.0)}))
    chosen = choose_by_validation(cells, "a", 0)
    assert chosen is not None
    assert chosen.method == "fixed:0.2"


def test_an_incomplete_grid_is_no_reference() -> None:
    cells = index_rows([*grid("a", 0, {})[1:], row("a", 0, "rule", 1.0, 1.0)])
    assert choose_by_validation(cells, "a", 0) is None
    assert compare(cells, "a", "rule") is None


def test_differences_are_paired_by_seed() -> None:
    rows = [
        *grid("a", 0, {"fixed:0.1": (1.0, 1.0)}),
        *grid("a", 1, {"fixed:0.8": (1.0, 5.0)}),
        row("a", 0, "rule", 1.0, 1.1, test_accuracy=0.51),
        row("a", 1, "rule", 1.0, 5.3, test_accuracy=0.47),
        row("a", 2, "rule", 1.0, 100.0),  # without a grid
    ]
    d = compare(index_rows(rows), "a", "rule")
    assert d is not None
    assert (d.mean, d.error, d.seeds) == (pytest.approx(0.2), pytest.approx(0.1), 2)
    assert d.accuracy == pytest.approx(-1.0)


def test_the_oracle_knows_the_test_set() -> None:
    rows = grid("a", 0, {"fixed:0.1": (1.0, 1.0), "fixed:0.2": (2.0, 0.7)})
    oracle = compare_oracle(index_rows(rows), "a")
    assert oracle is not None
    assert oracle.mean == pytest.approx(-0.3)


def test_the_universal_rate_is_best_in_the_mean_over_tasks() -> None:
    rows = [
        *grid("a", 0, {"fixed:0.1": (1.0, 1.0), "fixed:0.5": (2.0, 1.5)}),
        *grid("b", 0, {"fixed:0.9": (1.0, 1.0), "fixed:0.5": (2.0, 1.2)}),
    ]
    assert find_best_universal(index_rows(rows), ["a", "b"]) == "fixed:0.5"
    assert find_best_universal({}, ["a"]) is None


@pytest.mark.parametrize(
    ("found", "worse"),
    [(Difference(0.21, 0.1, 3), True), (Difference(0.19, 0.1, 3), False), (Difference(1.0, math.nan, 1), False)],
)
def test_worse_means_by_more_than_two_standard_errors(found: Difference, worse: bool) -> None:
    assert found.is_worse is worse


def test_a_summary_is_over_the_tasks_that_ran() -> None:
    found = {"a": Difference(0.03, 0.01, 3), "b": Difference(-0.01, 0.01, 3), "c": None, "d": Difference(0.03, 0.1, 3)}
    s = summarize(found, {"a": 0.02, "b": 0.02, "c": 0.02, "d": 0.04})
    assert s is not None
    assert (s.tasks, s.worst, s.wins, s.losses, s.worse) == (3, 0.03, 0, 1, 1)
    assert s.mean == pytest.approx(0.05 / 3)
    assert summarize({"c": None}, {}) is None
    found = summarize({"a": Difference(-0.03, 0.1, 3), "b": Difference(math.inf, math.nan, 1)}, {"a": 0.02, "b": 0.02})
    assert found is not None
    assert (found.wins, found.losses, found.worse) == (1, 1, 0)


def test_cost_is_relative_to_a_fixed_rate_of_the_same_task_and_seed() -> None:
    rows = [
        *grid("a", 0, {}, seconds=10.0),
        *grid("b", 0, {}, seconds=100.0),
        row("a", 0, "rule", 1.0, 1.0, seconds=11.0),
        row("b", 0, "rule", 1.0, 1.0, seconds=130.0),
        row("c", 0, "rule", 1.0, 1.0, seconds=1000.0),  # without a grid
    ]
    assert compare_cost(index_rows(rows), ["a", "b", "c"], "rule", lambda r: r.seconds) == pytest.approx(1.2)
    assert compare_cost(index_rows(rows), ["a"], "rule", lambda r: r.seconds) == pytest.approx(1.1)


def test_the_first_row_of_a_cell_counts() -> None:
    cells = index_rows([row("a", 0, "rule", 1.0, 1.0), row("a", 0, "rule", 2.0, 2.0)])
    assert cells["a", 0, "rule"].val_loss == 1.0


TUNED, HELD_OUT = "digits:200", "energy"


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def study() -> str:
    rows = []
    for seed in (0, 1):
        for task in (TUNED, HELD_OUT):
            rows += grid(task, seed, {"fixed:0.2": (1.0, 1.0), "fixed:0.5": (2.0, 1.4)})
        rows.append(row(TUNED, seed, "plateau:0.3", 1.0, 1.3 + 0.1 * seed))
        rows.append(row(TUNED, seed, "linear", 1.0, 0.9))
        rows.append(row(HELD_OUT, seed, "linear", 1.0, 1.6 + 0.1 * seed))
    return write_tables(index_rows(rows))


def test_losing_cases_come_first_and_the_worst_leads() -> None:
    losses = study().split("## ")[1]
    assert losses.startswith("Where one run loses")
    first, second = losses.strip().splitlines()[-2:]
    assert first == "| linear | energy (held out) | +0.650 (0.050) | +0.0 | 2 | yes |"
    assert second == "| plateau:0.3 | digits:200 | +0.350 (0.050) | +0.0 | 2 | yes |"


def test_held_out_tasks_stand_apart() -> None:
    text = study()
    tuned = section(text, "Tasks that rules may have been tuned on")
    apart = section(text, "Tasks kept out of all tuning")
    assert "| linear | -0.100 (nan) | -0.100 | 1 of 1 | 0 | 1.00 |" in tuned
    assert "| linear | +0.650 (nan) | +0.650 | 0 of 1 | 1 | 1.00 |" in apart
    assert "plateau" not in apart


def test_the_universal_rate_none_and_one_half_are_shown() -> None:
    header = section(study(), "Task by task").strip().splitlines()[0]
    fixed = "no dropout | fixed:0.2, the best universal rate | fixed:0.5"
    assert header == f"| task | seeds | oracle rate | the grid's choice again | plateau:0.3 | linear | {fixed} |"


def test_the_grids_choice_trained_again_shows_what_the_choice_owed_to_luck() -> None:
    rows = [
        *grid(TUNED, 0, {"fixed:0.2": (1.0, 1.0), "fixed:0.5": (2.0, 1.4)}),
        row(TUNED, 0, "again:0.2", 1.2, 1.125),
        row(TUNED, 0, "again:0.5", 1.0, 0.5),  # not the grid's choice
    ]
    tuned = section(write_tables(index_rows(rows)), "Tasks that rules may have been tuned on")
    assert "| the grid's choice again | +0.125 (nan) | +0.125 | 0 of 1 | 0 | 1.00 |" in tuned


def test_what_was_not_run_is_said() -> None:
    missing = section(study(), "Not run")
    assert "Seeds 0, 1." in missing
    assert "- letter: nothing" in missing
    energy = next(line for line in missing.splitlines() if line.startswith("- energy: "))
    assert "plateau:0.3" in energy
    assert "linear" not in energy


def test_a_whole_study_has_nothing_left_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    two = {name: TASKS[name] for name in (TUNED, HELD_OUT)}
    monkeypatch.setattr("benchmarks.control.table.TASKS", two)
    rows = [row(task, 0, method, 1.0, 1.0) for task in two for method in METHODS]
    text = write_tables(index_rows(rows))
    assert "Every task and every method was run with each." in text
    assert "Nowhere: no rule is worse than the grid" in text


def test_an_empty_study_has_a_table_too() -> None:
    assert "No seed was run." in write_tables({})
