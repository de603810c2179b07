from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.study.cells import Cell
from benchmarks.study.study import Study, read_study
from benchmarks.uci.cells import UciRow
from benchmarks.uci.experiment import METHODS, UCI
from benchmarks.uci.published import PUBLISHED
from benchmarks.uci.table import write_page, write_section
from benchmarks.uci.tasks import TASKS


def made_up(name: str, method: str, number: int, test_rmse: float, study: Study) -> UciRow:
    task = next(task for task in study.tasks if task.name == name)
    how = next(each for each in study.methods if each.name == method)
    origin = Cell(study.name, task, how, number, "data")
    return UciRow(
        key=origin.key, study=study.name, task=name, method=method, seed=number, task_settings=task.content,
        method_settings=how.content, data="data", commit="abc", versions="torch 2", machine="made up", seconds=1.0,
        n_train=10, val_rmse=1.0, test_rmse=test_rmse, test_rmse_off=test_rmse, test_ll=-1.0, noise=1.0,
        input_rate=0.05, hidden_rate=0.02, rewinds=1,
    )  # fmt: skip


@pytest.fixture
def two_sets(tmp_path: Path) -> Study:
    (tmp_path / "two.yaml").write_text("{tasks: {energy: , yacht: }, methods: {adaptive: , none: }, seeds: [0, 1]}")
    return read_study(tmp_path / "two.yaml", TASKS, METHODS)


def test_misses_stand_first_and_hits_are_counted(two_sets: Study) -> None:
    close, far = PUBLISHED["energy"], PUBLISHED["yacht"]
    found = {
        "energy": [made_up("energy", "adaptive", k, close.rmse + 0.9 * close.rmse_error, two_sets) for k in range(2)],
        "yacht": [made_up("yacht", "adaptive", k, far.rmse + 1.1 * far.rmse_error, two_sets) for k in range(2)],
    }
    text = write_section("adaptive", found, [])
    assert (
        "Within one standard error of the published RMSE, or better: 1 of 2 sets; 0 of the 2 ran on all splits." in text
    )
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith(("| energy", "| yacht"))]
    assert [(line[0], line[4]) for line in lines] == [("| yacht", "+1.10"), ("| energy", "+0.90")]


def test_every_split_is_listed_and_what_is_missing_too(two_sets: Study, tmp_path: Path) -> None:
    rows = [made_up("yacht", "adaptive", k, 0.5 + k, two_sets) for k in (1, 0)]
    write_page([two_sets], [*rows, made_up("energy", "adaptive", 0, 0.5, two_sets)], tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert "- yacht: 0: 0.5, 1: 1.5" in text
    assert "Not run: energy (1 of 2 splits)." in text
    assert "## none\n\nNot run: energy (2 of 2 splits), yacht (2 of 2 splits)." in text


def test_the_study_with_more_splits_of_a_set_counts(two_sets: Study, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("{tasks: {yacht: {steps: 200}}, methods: {adaptive: }, seeds: [0]}")
    one = read_study(tmp_path / "one.yaml", TASKS, METHODS)
    rows = [made_up("yacht", "adaptive", k, 0.5, two_sets) for k in range(2)]
    write_page([two_sets, one], [*rows, made_up("yacht", "adaptive", 0, 0.9, one)], tmp_path)
    assert "- yacht: 0: 0.5, 1: 0.5" in (tmp_path / "table.md").read_text()


def test_a_table_without_rows_says_so(two_sets: Study, tmp_path: Path) -> None:
    write_page([two_sets], [], tmp_path)
    assert (tmp_path / "table.md").read_text().endswith("Nothing was run.\n")


def test_every_set_is_published_and_every_study_can_be_read() -> None:
    assert PUBLISHED.keys() == TASKS.keys()
    for file in UCI.folder.glob("*.yaml"):
        study = read_study(file, TASKS, METHODS)
        assert all(max(study.seeds) < PUBLISHED[task.name].splits for task in study.tasks)
