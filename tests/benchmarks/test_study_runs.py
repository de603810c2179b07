"""Studies run for real, in processes that are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.study.cells import Cell, list_cells
from benchmarks.study.command import main
from benchmarks.study.rows import read
from benchmarks.study.study import read_study
from tests.benchmarks.toy_study import METHODS, TASKS, ToyRow, experiment

ROOT = Path(__file__).parents[2]


class Place:
    """A folder with a study, its data and its results."""

    def __init__(self, folder: Path, methods: str, seeds: Sequence[int]) -> None:
        self.study, self.data, self.out = folder / "some.yaml", folder / "data", folder / "results.csv"
        self.study.write_text(f"{{tasks: {{toy: }}, methods: {methods}, seeds: {list(seeds)}}}")
        self.data.mkdir()
        (self.data / "data.txt").write_text("some")

    @property
    def arguments(self) -> list[str]:
        return ["some", "--data-dir", str(self.data), "--jobs", "2", "--out", str(self.out)]

    def run(self, *more: str) -> int:
        return main(experiment(self.study.parent), [*self.arguments, *more])

    def cells(self) -> list[Cell]:
        return list_cells(read_study(self.study, TASKS, METHODS), {"toy": ""})

    def rows(self) -> list[tuple[str, int]]:
        return sorted((row.method, row.seed) for row in read(self.out, ToyRow))

    def begun(self) -> list[int]:
        """The processes that began a cell, in the order of beginning."""
        files = sorted(self.data.glob("begun-*"), key=lambda file: int(file.name.rpartition("-")[2]))
        return [int(file.name.split("-")[2]) for file in files]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


@contextlib.contextmanager
def started(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    code = "import signal, sys; from pathlib import Path; from benchmarks.study.command import main; "
    code += "signal.signal(signal.SIGINT, signal.default_int_handler); "  # which a job in the background ignores
    code += "from tests.benchmarks.toy_study import experiment; "
    code += "sys.exit(main(experiment(Path(sys.argv[1])), sys.argv[2:]))"
    command = [sys.executable, "-c", code, str(place.study.parent), *place.arguments]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_every_cell_runs_once_and_never_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path, "{plain: }", [0, 1, 2])
    assert place.run() == 0
    assert place.rows() == [("plain", 0), ("plain", 1), ("plain", 2)]
    assert (tmp_path / "table.md").read_text() == "3 rows of some\n"
    assert place.run() == 0
    assert len(place.begun()) == 3
    assert "3/3 training runs" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_cell_is_begun_again_one_that_fails_is_a_line_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path, "{wrong: , dying: {times: 2}, doomed: {kind: dying, times: 9}, plain: }", [0])
    assert place.run() == 1
    assert place.rows() == [("dying", 0), ("plain", 0)]
    assert len(place.begun()) == 1 + 3 + 3 + 1
    told = capsys.readouterr().err
    assert "failed: toy, wrong, seed 0: it does not learn\n" in told
    assert "failed: toy, doomed, seed 0: its process died 3 times\n" in told


@pytest.mark.slow
def test_after_kill_9_no_cell_is_lost_or_run_twice(tmp_path: Path) -> None:
    place = Place(tmp_path, "{slow: {seconds: 0.5}}", range(6))
    with started(place) as process:
        wait_for(lambda: place.out.exists() and len(place.rows()) >= 2)
        process.kill()
    done, workers = place.rows(), place.begun()
    wait_for(lambda: not any(alive(worker) for worker in workers))
    with place.out.open("a") as file:
        file.write("half a li")
    assert place.run("--jobs", "1") == 0
    assert place.rows() == [("slow", seed) for seed in range(6)]
    # What had a row began once; the two that ran when the process was killed began twice, at most.
    assert len(place.begun()) <= 6 + 2
    assert done == place.rows()[: len(done)]


@pytest.mark.slow
def test_ctrl_c_ends_the_processes_and_keeps_what_is_done(tmp_path: Path) -> None:
    place = Place(tmp_path, "{slow: {seconds: 0.5}, plain: }", range(20))
    with started(place) as process:
        wait_for(lambda: place.out.exists() and place.rows())
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"stopped; the same command continues from here" in told
    assert not any(alive(worker) for worker in place.begun())
    assert place.rows()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["other"], "there are some"),
        (["some", "--data-dir", "nowhere"], "no data in 'nowhere'"),
        (["some", "--jobs", "0"], "jobs has to be at least 1, but got 0"),
    ],
)
def test_what_cannot_run_is_said_before_anything_runs(arguments: Sequence[str], message: str, tmp_path: Path) -> None:
    place = Place(tmp_path, "{plain: }", [0])
    with pytest.raises(SystemExit) as stopped:
        main(experiment(tmp_path), [*place.arguments[1:], *arguments])
    assert message in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert not place.begun()
    assert not place.out.exists()


def test_without_ray_its_engine_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    place = Place(tmp_path, "{plain: }", [0])
    with pytest.raises(SystemExit, match=r'needs Ray: pip install "adaptive-dropout\[ray\]"'):
        place.run("--engine", "ray")
    assert os.listdir(place.data) == ["data.txt"]
