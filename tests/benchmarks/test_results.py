from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.control.cells import Row
from benchmarks.study.rows import append, columns, read, repair
from tests.benchmarks.rows import row


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
