from __future__ import annotations

from benchmarks.control.compare import index_rows
from benchmarks.control.methods import METHODS
from benchmarks.control.table import write_tables
from benchmarks.control.tasks import TASKS
from tests.benchmarks.rows import grid, row

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


def test_a_whole_study_has_nothing_left_to_run() -> None:
    rows = [row(task, 0, method, 1.0, 1.0) for task in TASKS for method in METHODS]
    text = write_tables(index_rows(rows))
    assert "Every task and every method was run with each." in text
    assert "Nowhere: no rule is worse than the grid" in text


def test_an_empty_study_has_a_table_too() -> None:
    assert "No seed was run." in write_tables({})
