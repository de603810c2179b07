from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from benchmarks.control.cells import Row
from benchmarks.report.markdown import replace_between
from benchmarks.study import study as study_module
from benchmarks.study.cells import Cell, data_version, find_missing, list_cells, select_rows
from benchmarks.study.rows import append, columns, read, repair
from benchmarks.study.study import Choice, Study, read_study
from tests.benchmarks.rows import row
from tests.benchmarks.toy_study import METHODS, TASKS, ToyRow, toy_row

PLAIN = "{tasks: %s, methods: {plain: }, seeds: [0]}"


def study(folder: Path, text: str) -> Study:
    file = folder / "some.yaml"
    file.write_text(text)
    return read_study(file, TASKS, METHODS)


def test_settings_are_the_defaults_and_what_is_given(tmp_path: Path) -> None:
    found = study(tmp_path, "{tasks: {toy: {size: 4, rate: 1}}, methods: {plain: , b: {kind: slow}}, seeds: [2, 0, 2]}")
    assert found.name == "some"
    assert found.tasks == (Choice("toy", "toy", {"size": 4, "rate": 1.0}),)
    assert found.methods == (Choice("plain", "plain", {}), Choice("b", "slow", {"seconds": 0.5}))
    assert found.seeds == (2, 0)


def test_a_list_of_values_stands_for_each_of_them(tmp_path: Path) -> None:
    found = study(tmp_path, "{tasks: {toy: {size: [1, 2], rate: [0, 1]}}, methods: {slow: {seconds: [3]}}, seeds: [0]}")
    settings = [{"size": size, "rate": rate} for size in (1, 2) for rate in (0.0, 1.0)]
    assert [task.settings for task in found.tasks] == settings
    assert [task.name for task in found.tasks][:2] == ["toy, size 1, rate 0", "toy, size 1, rate 1"]
    assert found.methods == (Choice("slow, seconds 3", "slow", {"seconds": 3.0}),)


def test_the_example_of_a_grid_is_right() -> None:
    assert doctest.testmod(study_module) == (0, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN % "{tory: }", "no task 'tory'; there are toy$"),
        (
            "{tasks: {toy: }, methods: {a: {kind: plane}}, seeds: [0]}",
            "no method 'plane'; there are plain, slow, wrong",
        ),
        (PLAIN % "{toy: {sise: 1}}", "task 'toy' has no setting 'sise'; .* size, rate"),
        (PLAIN % "{toy: {size: a}}", "size of task 'toy' .* type int, but got 'a'"),
        (PLAIN % "{toy: {size: true}}", "type int, but got True"),
        (PLAIN % "{toy: {size: 0}}", "size has to be at least 1, but got 0"),
        (PLAIN % "{toy: {size: []}}", "size of 'toy' has to hold at least one value"),
        (PLAIN % "{toy: {size: [1, a]}}", "type int, but got 'a'"),
        (PLAIN % "{toy: 3}", "have to be a mapping .*, but got 3"),
        (PLAIN % "[toy]", r"tasks has to name at least one of toy, but got \['toy'\]"),
        ("{tasks: {toy: }, methods: {plain: }, seeds: 3}", "seeds has to be a list of whole numbers .*, but got 3"),
        ("{task: {toy: }, methods: {plain: }, seeds: [0]}", "keys have to be tasks, methods, seeds, but are task, "),
        ("{tasks: {", "is not YAML: "),
    ],
)
def test_what_a_study_cannot_be_is_said_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        study(tmp_path, text)
    assert "\n" not in str(raised.value)


def test_an_unknown_study_is_told_which_there_are(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").touch()
    with pytest.raises(FileNotFoundError, match=r"no study .*; there are large$"):
        read_study(tmp_path / "small.yaml", TASKS, METHODS)


def cell(size: int = 3, seconds: float = 0.5, seed: int = 0, data: str = "d", name: str = "toy") -> Cell:
    task, method = Choice(name, "toy", {"size": size, "rate": 0.5}), Choice("m", "slow", {"seconds": seconds})
    return Cell("s", task, method, seed, data)


def test_the_key_depends_on_all_that_decides_a_result_and_on_no_name() -> None:
    different = [cell(), cell(size=4), cell(seconds=0.25), cell(seed=1), cell(data="e")]
    assert len({each.key for each in different}) == len(different)
    assert cell(name="other").key == cell().key == "d23a9da2df72"  # rows of earlier runs are found by it


def test_what_has_a_row_is_not_missing_and_nothing_is_missing_twice() -> None:
    first, second = cell(), cell(seed=1)
    assert find_missing([first, second, cell(seed=1, name="again")], [toy_row(first, 1.0)]) == [second]


def test_a_study_stopped_early_has_whole_seeds(tmp_path: Path) -> None:
    found = study(tmp_path, "{tasks: {toy: , b: {kind: toy}}, methods: {plain: , slow: }, seeds: [5, 3]}")
    assert [each.seed for each in list_cells(found, {"toy": "d", "b": "d"})] == [5] * 4 + [3] * 4


def test_a_study_shows_rows_of_the_settings_that_it_has_now(tmp_path: Path) -> None:
    text = "{tasks: {toy: {size: %d}}, methods: {plain: }, seeds: [0, 1]}"
    then, now = (study(tmp_path, text % size) for size in (3, 4))
    old, new = ([toy_row(each, 1.0) for each in list_cells(found, {"toy": "d"})] for found in (then, now))
    assert select_rows(now, [*new[:1], *old]) == {("toy", "plain"): new[:1]}
    assert select_rows(then, [*old, *new]) == {("toy", "plain"): old}


def test_data_that_changed_is_another_version(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_text("some")
    before = data_version(tmp_path, files)
    assert before == data_version(tmp_path, files[::-1])
    files[1].write_text("other")
    assert data_version(tmp_path, files) != before


def test_a_row_with_a_curve_comes_back_as_it_was(tmp_path: Path) -> None:
    row = toy_row(cell(), 0.125)
    append(tmp_path / "results.csv", row)
    assert read(tmp_path / "results.csv", ToyRow) == [row]


def test_only_what_stands_between_the_markers_is_generated(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- x: generated -->\nold\n<!-- x: end -->\nafter\n")
    replace_between(page, "x", "new")
    assert page.read_text() == "before\n<!-- x: generated -->\nnew\n<!-- x: end -->\nafter\n"
    with pytest.raises(ValueError, match="has to be between '<!-- y: generated -->'"):
        replace_between(page, "y", "new")


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "results.csv"
    rows = [row("a", 0, "rule", 0.25, float("inf")), row("b", 7, "rule", -1.5, 2.0, test_accuracy=None, test_rmse=0.5)]
    for each in rows:
        append(file, each)
    assert read(file, Row) == rows
    assert file.read_text().splitlines()[0] == ",".join(columns(Row))


def test_no_file_holds_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path / "none.csv", Row) == []
    assert repair(tmp_path / "none.csv") == ""


@pytest.mark.parametrize("left", [1, 5, 30])
def test_a_half_written_line_is_dropped_and_the_rest_stays(left: int, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    append(file, row("a", 0, "rule", 1.0, 1.0))
    whole = file.read_bytes()
    append(file, row("a", 1, "rule", 1.0, 1.0))
    half = file.read_bytes()[len(whole) :][:left]
    file.write_bytes(whole + half)
    assert repair(file) == half.decode()
    assert file.read_bytes() == whole
    assert repair(file) == ""


def test_a_half_written_header_is_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text("commit,tor")
    assert repair(file) == "commit,tor"
    append(file, row("a", 0, "rule", 1.0, 1.0))
    assert len(read(file, Row)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "the columns have to be commit,.*, but are a,b"),
        (",".join(columns(Row)) + "\nabc,2\n", "line 2 has 2 cells, but there are 15 columns"),
        (",".join(columns(Row)) + "\n" + ",".join(["x"] * 15) + "\n", "line 2: .*'x'"),
    ],
)
def test_a_file_of_something_else_is_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read(file, Row)
