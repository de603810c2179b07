from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from benchmarks.beyond.table import Row, average, find_gaps, lines, write_page
from benchmarks.study.cells import select_rows
from benchmarks.study.study import Choice, Study

METHODS = (
    Choice("none", "none", {}),
    Choice("fixed-0.5", "fixed", {"p": 0.5}),
    Choice("steered-0.3", "steered", {"start": 0.3}),
)
TASKS = (Choice("logistic", "logistic", {}), Choice("logistic-penalty", "logistic-penalty", {}))
STUDY = Study("rates", TASKS, METHODS, (0, 1))
BLANK = Row(
    key="", study="rates", task="", method="", seed=0, task_settings="", method_settings="", data="", commit="c",
    versions="v", machine="m", seconds=2.0, val_loss=0.5, test_loss=0.5, trivial_loss=1.0, final_rate=0.0, rewinds=0,
)  # fmt: skip


def row(task: int, method: int, seed: int, val_loss: float, test_loss: float) -> Row:
    chosen, how = TASKS[task], METHODS[method]
    return replace(
        BLANK, task=chosen.name, method=how.name, seed=seed, task_settings=chosen.content, method_settings=how.content,
        val_loss=val_loss, test_loss=test_loss, final_rate=how.settings.get("p", 0.0),
        key=f"{task}{method}{seed}",
    )  # fmt: skip


ROWS = [
    row(0, 0, 0, 0.6, 0.7), row(0, 1, 0, 0.5, 0.6), row(0, 2, 0, 0.4, 0.62),
    row(0, 0, 1, 0.4, 0.5), row(0, 1, 1, 0.5, 0.4), row(0, 2, 1, 0.4, 0.54),
    row(1, 0, 0, 0.5, 0.72),
]  # fmt: skip


def test_the_reference_is_the_fixed_rate_that_validation_chooses_seed_by_seed() -> None:
    by_method = {gap.method: gap for gap in find_gaps(select_rows(STUDY, ROWS)) if gap.task == "logistic"}
    steered = by_method["steered-0.3"]
    assert steered.chosen == (0.5, 0.0)
    assert math.isclose(steered.mean, (0.02 + 0.04) / 2)
    assert math.isclose(steered.error, 0.01)
    assert steered.is_worse
    assert set(by_method) == {"none", "steered-0.3"}
    assert not by_method["none"].is_worse  # +.1 and 0: one standard error


def test_a_task_without_the_whole_grid_is_not_compared() -> None:
    assert {gap.task for gap in find_gaps(select_rows(STUDY, ROWS))} == {"logistic"}


def test_one_seed_that_is_worse_counts_as_worse() -> None:
    found = find_gaps(select_rows(STUDY, ROWS[:3]))
    assert {gap.method: gap.is_worse for gap in found} == {"none": True, "steered-0.3": True}


def test_losing_cases_come_first_and_are_bold() -> None:
    table = list(lines([STUDY], ROWS))
    start = table.index("## rates: against the grid")
    assert table[start + 4].startswith("| logistic | steered-0.3 | **+0.0300** |")
    assert table[start + 5].startswith("| logistic | none | +0.0500 |")


def test_a_mean_that_is_missing_is_left_blank_and_the_closed_form_stands_beside_the_noise() -> None:
    table = list(lines([STUDY], ROWS))
    assert "| logistic-penalty | 1.0000 | 0.7200 |  |  |" in table
    assert "| logistic | none | 0.6000 | 0.7200 | +0.1200 |" in table
    assert average(select_rows(STUDY, ROWS))["logistic", "fixed-0.5"] == 0.5


def test_the_table_is_written_where_the_results_are(tmp_path: Path) -> None:
    write_page([STUDY], ROWS, tmp_path)
    assert (tmp_path / "table.md").read_text().splitlines() == list(lines([STUDY], ROWS))
