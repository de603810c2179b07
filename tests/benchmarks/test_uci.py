from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import adaptive_dropout as ad
from benchmarks.study.cells import Cell, data_version, list_cells
from benchmarks.study.command import main
from benchmarks.study.rows import append, read
from benchmarks.study.study import Study, read_study
from benchmarks.uci.cells import UciRow
from benchmarks.uci.experiment import METHODS, UCI
from benchmarks.uci.table import PUBLISHED, write_page, write_section
from benchmarks.uci.tasks import BATCH, TASKS, UciTask, read_split

ROWS = 120
STUDY = """
tasks: {yacht: {steps: 200, validations: 20, hidden: 8, samples: 20}}
methods: {adaptive: , none: }
seeds: [0]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with one set of 120 rows: three features, one of them constant, y = 10 x0 - 5 x1 + 3 + noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3)) * [1.0, 2.0, 0.0] + 7.0
    y = 10 * x[:, 0] - 5 * x[:, 1] + 3 + rng.normal(size=ROWS)
    arrays: dict[str, Any] = {"n_splits": 2, "index_features": np.array([0, 1, 3]), "index_target": 2}
    for k in range(2):
        order = rng.permutation(ROWS).astype(np.uint16)
        arrays |= {f"index_train_{k}": order[12:], f"index_test_{k}": order[:12]}
    (tmp_path / "data" / "uci").mkdir(parents=True)
    np.savez(tmp_path / "data" / "uci" / "yacht.npz", data=np.insert(x, 2, y, axis=1), **arrays)
    return tmp_path / "data"


@pytest.fixture
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a study; on a busy machine threads that wait for each other take ten times as long
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "small.yaml").write_text(STUDY)
    return read_study(tmp_path / "small.yaml", TASKS, METHODS)


def test_a_split_has_the_authors_test_rows_and_its_training_rows_are_standard(folder: Path) -> None:
    file = folder / "uci" / "yacht.npz"
    split = read_split(file, 1, 0.25)
    assert [len(part) for part in (split.train, split.val, split.test)] == [81, 27, 12]
    torch.testing.assert_close(split.train.x.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(split.train.x.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]))
    with np.load(file) as arrays:
        target, test = arrays["data"][:, 2], arrays["index_test_1"]
    restored = (split.test.y - split.test.y.mean()) * split.unit
    expected = torch.from_numpy(target[test] - target[test].mean()).float()
    torch.testing.assert_close(restored, expected, atol=1e-4, rtol=0)


def test_every_row_is_in_one_part(folder: Path) -> None:
    split = read_split(folder / "uci" / "yacht.npz", 0, 0.1)
    ys = torch.cat([part.y for part in (split.train, split.val, split.test)])
    assert len(ys.unique()) == ROWS


def test_a_split_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"has the splits 0 to 1, but split 2 was asked for"):
        read_split(folder / "uci" / "yacht.npz", 2, 0.1)


def test_a_file_without_splits_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz has to hold data, indices and splits"):
        read_split(tmp_path / "other.npz", 0, 0.1)


def test_a_set_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"--data-dir has to hold uci/wine-quality-red\.npz"):
        TASKS["wine"]().files(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 150}, r"steps has to be a multiple of 100, twice the validations, but got 150"),
        ({"lr": 0.0}, r"lr has to be above 0, but got 0\.0"),
        ({"hidden": 0}, r"hidden has to be at least 1"),
        ({"val_fraction": 1.0}, r"val_fraction has to lie between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UciTask("file", **settings)


def test_an_optimizer_step_is_taken_for_each_piece(folder: Path) -> None:
    task = UciTask("uci/yacht.npz", hidden=4)
    split = task.split(folder, 0)
    data = task.data(split, 0)
    data.setup("fit")
    batches = list(data.train_dataloader())
    assert [len(y) for _, y in batches] == [BATCH * 100, BATCH * 100]
    assert task.steps == task.validations * len(batches) * 100


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("method", ["adaptive", "fixed", "none", "concrete"])
def test_a_cell_learns_and_gives_the_same_row_again(method: str, folder: Path, study: Study) -> None:
    asked = Cell("small", study.tasks[0], replace(study.methods[0], kind=method, settings={}), 0, "data")
    first, second = (UCI.run_cell(folder, "cpu", asked) for _ in range(2))
    assert asdict(first) | {"seconds": 0} == asdict(second) | {"seconds": 0}
    # The target has a standard deviation of 14 and a noise of 1.
    assert first.test_rmse < 5
    assert first.n_train == 86
    assert first.noise < 5


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_the_rates_tested_are_those_of_the_best_validation(
    folder: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Doomed(ad.FixedController):
        """Raises every rate by as much at each validation, so that the first ones are the best."""

        def update(self, state: ad.State, signals: Any) -> ad.State:
            return replace(state, rates={name: min(p + 0.2, 0.9) for name, p in state.rates.items()})

    doomed = replace(METHODS["fixed"](0.0), callbacks=lambda: [ad.callbacks.DropoutRateControl(Doomed())])
    monkeypatch.setitem(METHODS, "none", lambda: doomed)
    row = UCI.run_cell(folder, "cpu", Cell("small", study.tasks[0], study.methods[1], 0, "data"))
    assert row.input_rate == row.hidden_rate < 0.9


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_a_study_goes_on_where_it_stopped(folder: Path, study: Study, tmp_path: Path) -> None:
    out = tmp_path / "out" / "results.csv"
    cells = list_cells(study, {"yacht": data_version(folder, TASKS["yacht"]().files(folder))})
    append(out, UCI.run_cell(folder, "cpu", cells[0]))
    there = out.read_text()
    out.write_text(there + there.splitlines()[1][:40])
    command = [str(tmp_path / "small.yaml"), "--data-dir", str(folder), "--jobs", "1", "--out", str(out)]
    assert main(UCI, command) == 0
    assert out.read_text().startswith(there)
    assert [row.key for row in read(out, UciRow)] == [cell.key for cell in cells]
    assert "yacht" in (out.parent / "table.md").read_text()


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
    assert "of the published RMSE, or better: 1 of 2 sets; 0 of the 2 ran on all splits." in text
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
