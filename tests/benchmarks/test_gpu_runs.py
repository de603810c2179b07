"""Each section of the benchmark on a GPU, run on the CPU with tiny sizes, with and without CUDA's functions stubbed."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from benchmarks.gpu import layers, times
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.cases import TIMED
from benchmarks.gpu.results import Row
from benchmarks.gpu.run import Measured, Run
from benchmarks.gpu.sections import SECTIONS
from benchmarks.gpu.table import FORMATS
from benchmarks.gpu.training import OURS, STEERED, WITHOUT, fit, new_bench, new_network, new_step
from benchmarks.study.rows import read
from tests.benchmarks.pretended_cuda import OnPretendedGpu, pretend

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(autouse=True)
def _fresh_graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(times, "TIMED", {name: TIMED[name] for name in ("Dropout", "dropout_add")})
    torch._dynamo.reset()
    with torch._dynamo.config.patch(recompile_limit=torch._dynamo.config.recompile_limit):
        yield


def run_section(name: str, kind: type[Run] = Run) -> list[Measured]:
    run = kind("cpu", quick=True, deadline=time.monotonic() + 600)
    return list(importlib.import_module(f"benchmarks.gpu.{name}").measure(run))


def failures(measured: list[Measured]) -> list[Measured]:
    return [m for m in measured if math.isnan(m.value) and m.note not in ("needs a GPU", "never")]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_dry_run_measures_without_a_failure(name: str) -> None:
    measured = run_section(name)
    assert failures(measured) == []
    assert measured
    assert {m.quantity for m in measured} <= set(FORMATS)


@pytest.mark.parametrize("name", [name for name in SECTIONS if name != "training"])
def test_the_ways_of_a_gpu_run_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    monkeypatch.setattr(times, "DTYPES", {"fp32": torch.float32})
    monkeypatch.setattr(layers, "COMPILED", ())
    monkeypatch.setattr("benchmarks.gpu.host.count_kernels", lambda *_: {"kernels": 1, "launches": 1})
    measured = run_section(name, OnPretendedGpu)
    assert failures(measured) == []
    assert {m.quantity for m in measured} <= set(FORMATS)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_that_is_late_says_so_and_ends(name: str) -> None:
    began = time.monotonic()
    measured = list(importlib.import_module(f"benchmarks.gpu.{name}").measure(Run("cpu", True, began)))
    assert any(m.note == "the time was up" for m in measured)
    assert time.monotonic() - began < 30


def test_the_network_without_the_library_is_the_same_at_p_0() -> None:
    tokens = torch.randint(65, (2, 8))
    run = Run("cpu", quick=True, deadline=math.inf)
    with_ours, without = (
        new_network(lambda: torch.nn.Dropout(0.0), by_torch, 65, run)(tokens) for by_torch in (False, True)
    )
    torch.testing.assert_close(with_ours, without)


def test_a_compiled_network_serves_the_loop_and_both_trainers_by_one_graph(tmp_path: Path) -> None:
    bench = new_bench(Run("cpu", quick=True, deadline=math.inf), "compiled", tmp_path)
    counters.clear()
    new_step(bench, OURS)()
    fit(bench, STEERED)
    fit(bench, OURS)
    assert counters["stats"]["unique_graphs"] == 1


def test_a_dry_run_of_the_command_writes_rows_and_a_table(tmp_path: Path) -> None:
    main(["--device", "cpu", "--quick", "--sections", "crossing", "--out", str(tmp_path / "results.csv")])
    rows = read(tmp_path / "results.csv", Row)
    assert {row.section for row in rows} == {"crossing"}
    assert "| ours over torch's |" in (tmp_path / "table.md").read_text()


def test_training_compares_in_a_loop_and_in_the_trainer() -> None:
    subjects = {(m.setting, m.subject) for m in run_section("training") if m.quantity == "x without"}
    assert {("eager, a loop", name) for name in (WITHOUT, OURS)} <= subjects
    assert {("compiled, a Trainer", name) for name in (WITHOUT, OURS, STEERED)} <= subjects
