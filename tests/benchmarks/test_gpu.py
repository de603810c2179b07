from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import adaptive_dropout as ad
from benchmarks.gpu import __main__ as command
from benchmarks.gpu.__main__ import main, run_section
from benchmarks.gpu.bits import compare
from benchmarks.gpu.cases import LAYERS, Added, AddedByTorch, P
from benchmarks.gpu.crossing import find_crossing
from benchmarks.gpu.layers import deviation, gradient_is_mask
from benchmarks.gpu.results import Row, make_row
from benchmarks.gpu.run import Measured
from benchmarks.gpu.sections import SECTIONS
from benchmarks.gpu.steps import StepClock
from benchmarks.gpu.table import FORMATS, write_lines
from benchmarks.gpu.targets import TARGETS, Target, find_outcomes
from benchmarks.gpu.times import yield_ratios
from benchmarks.gpu.timing import event_clock, keep_running
from benchmarks.study.place import Place
from benchmarks.study.rows import append, read
from tests.benchmarks.pretended_cuda import Event, pretend

PLACE = Place("2026-01-01T00:00:00Z", "abc", "a GPU", "torch", "cuda", 1, "caching")
NOT_MEASURED = math.nan


def row(section: str, subject: str, quantity: str, value: float, setting: str = "", size: str = "") -> Row:
    return make_row(PLACE, section, Measured(subject, setting, size, quantity, value))


def ratio(value: float, size: str = "1,048,576", setting: str = "eager, fp32, forward") -> Row:
    return row("times", "Dropout", "x torch", value, setting, size)


def targets_table(rows: list[Row]) -> list[str]:
    text = "\n".join(write_lines(rows))
    return text.split("## Targets\n")[1].split("\n## ")[0].strip().splitlines()[4:]


def test_all_sections_together_take_less_than_8_minutes() -> None:
    assert sum(section.seconds for section in SECTIONS.values()) <= 470


def test_a_missed_target_comes_first_then_what_was_not_measured() -> None:
    rows = [
        row("bits", "mask", "equal", 1.0, "fp32"),
        row("attention", "ours fused, compiled", "graphs", NOT_MEASURED, "20 values of p"),
        row("training", "our layers", "x without", 1.06, "eager, a loop"),
        ratio(1.2),
        ratio(2.6, size="65,536"),
    ]
    lines = targets_table(rows)
    where = "Dropout, eager, fp32, forward, 65,536"
    assert lines[0] == f"| times: Dropout | 1.3 x torch up to 1M elements | x torch: 2.60 | {where} | 1 of 2 | **no** |"
    assert lines[1].startswith("| training: our layers | 1.05 x the step without the library | x without: 1.060 |")
    assert (
        lines[2] == "| attention: ours fused, compiled | one graph for 20 values of p |  |  | 0 of 1 | not measured |"
    )
    assert lines[3].endswith("| 0 of 1 | yes |")
    assert len(lines) == 4


def test_a_target_is_about_the_sizes_and_settings_that_it_names() -> None:
    target = Target("", "times", "Dropout", "x torch", 1.3, setting="eager*", sizes=(0, 1 << 20))
    assert target.is_about(ratio(9.0))
    assert not target.is_about(ratio(9.0, size="4,194,304"))
    assert not target.is_about(ratio(9.0, setting="compiled, fp32, forward+backward"))
    both = Target("", "host", "Dropout", "kernels", 1, setting="forward")
    assert not both.is_about(row("host", "Dropout", "kernels", 2, "forward+backward"))


def test_a_target_with_one_case_that_failed_is_not_met() -> None:
    target = Target("", "synchronisation", "*", "*", least=1)
    yes, no = (row("synchronisation", name, "forward", value) for name, value in (("Dropout", 1.0), ("DropPath", 0.0)))
    failed = row("synchronisation", "Standout", "forward", NOT_MEASURED)
    assert [outcome.met for outcome in find_outcomes([yes], [target])] == [True]
    assert [outcome.met for outcome in find_outcomes([yes, failed], [target])] == [None]
    (outcome,) = find_outcomes([yes, failed, no], [target])
    assert (outcome.met, outcome.missed, outcome.rows, outcome.worst) == (False, 1, 3, no)


def test_every_target_names_a_section_and_a_quantity_that_can_be_shown() -> None:
    assert {target.section for target in TARGETS} <= set(SECTIONS)
    assert {target.quantity for target in TARGETS if "*" not in target.quantity} <= set(FORMATS)


def test_a_table_shows_numbers_reasons_and_what_was_broken_off() -> None:
    rows = [
        row("times", "copy", "us", 4.26, "eager, fp32, forward", "65,536"),
        row("times", "Dropout", "us", 6.0, "eager, fp32, forward", "65,536"),
        ratio(1.25, size="65,536"),
        make_row(PLACE, "host", Measured("Dropout", "forward", "", "kernels", NOT_MEASURED, "the profiler saw none")),
        make_row(PLACE, "bits", Measured("", "", "", "", NOT_MEASURED, "exit status 1: RuntimeError: no")),
        row("layers", "Dropout", "gradient is the mask", 0.0),
    ]
    lines = list(write_lines(rows))
    assert "| copy | 4.3 |" in lines
    assert "| Dropout | 6.0 / 1.25 |" in lines
    assert "| forward | Dropout | the profiler saw none |" in lines
    assert "**Broken off: exit status 1: RuntimeError: no**" in lines
    assert "| Dropout | **no** |" in lines
    assert lines.count("Not run.") == len(SECTIONS) - 4
    assert not any("dry run" in line for line in lines)


def at(started: str, section: str, note: str, device: str = "cuda") -> Row:
    place = Place(started, "abc", "a machine", "torch", device, 1, "default")
    return make_row(place, section, Measured("mask", "", "", "equal", NOT_MEASURED, note))


def test_the_last_run_of_each_section_is_shown_with_its_time() -> None:
    rows = [at("2025", "bits", "old bits"), at("2025", "host", "only host"), at("2026", "bits", "new bits")]
    for given in (rows, rows[::-1]):
        text = "\n".join(write_lines(given))
        assert "new bits" in text
        assert "only host" in text
        assert "old bits" not in text
        assert text.count("commit abc; 2025") == text.count("commit abc; 2026") == 1


def test_a_dry_run_says_so() -> None:
    lines = list(write_lines([at("2026", "bits", "", "cpu")]))
    assert any(line.startswith("**A dry run:") for line in lines)
    assert lines.count("Not run.") == len(SECTIONS) - 1


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    kept = ratio(1.25)
    append(tmp_path / "results.csv", kept)
    assert read(tmp_path / "results.csv", Row) == [kept]


def test_a_section_that_fails_is_told_and_the_others_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def fail(given: list[str], seconds: float) -> str:
        asked.append(given[3])
        assert seconds == 4 * SECTIONS[given[3]].seconds
        return "exit status 1: RuntimeError: an illegal memory access" if given[3] == "bits" else ""

    monkeypatch.setattr(command, "run_section", fail)
    main(["--device", "cpu", "--quick", "--out", str(tmp_path / "results.csv")])
    assert asked == list(SECTIONS)
    assert (
        "**Broken off: exit status 1: RuntimeError: an illegal memory access**" in (tmp_path / "table.md").read_text()
    )


def test_a_process_that_fails_or_hangs_gives_a_reason() -> None:
    assert run_section([sys.executable, "-c", "pass"], 60) == ""
    assert run_section([sys.executable, "-c", "raise ValueError('no')"], 60) == "exit status 1: ValueError: no"
    assert run_section([sys.executable, "-c", "import time; time.sleep(60)"], 0.5) == "not done after 0.5 s"


def test_without_a_gpu_the_command_says_how_to_try_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for arguments, said in (([], "--device cpu --quick is a dry run"), (["--device", "cpu"], "add --quick")):
        with pytest.raises(SystemExit):
            main(arguments)
        assert said in capsys.readouterr().err


def test_a_time_on_a_gpu_is_that_of_its_events_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []
    pretend(monkeypatch)
    assert event_clock(lambda: called.append(1), 3) == 0.002
    assert len(called) == 4  # the first does not count


def test_steps_are_timed_from_the_beginning_of_one_to_that_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    clock = StepClock(on_gpu=True, skipped=1)
    for _ in range(4):
        clock.on_train_batch_start()
    Event.times.__next__()  # a validation
    clock.on_train_end()
    assert clock.seconds() == [0.006, 0.006, 0.012]
    assert clock.median() == 0.006
    assert clock.mean() == pytest.approx(0.008)


def test_what_cannot_run_says_why() -> None:
    def broken() -> None:
        raise RuntimeError("no kernel\nfor this dtype")

    running, reasons = keep_running({"a": lambda: None, "b": broken})
    assert list(running) == ["a"]
    assert reasons == {"b": "RuntimeError: no kernel"}


def test_equal_elements_and_the_largest_relative_difference() -> None:
    reference = torch.tensor([1.0, 2.0, math.nan, 0.0, 4.0])
    assert compare(reference.clone(), reference) == (5, 0.0)
    assert compare(torch.tensor([1.0, 2.5, math.nan, 0.0, 4.0]), reference) == (4, 0.25)
    assert compare(torch.tensor([1.0, 2.0, math.nan, 1.0, 4.0]), reference) == (4, math.inf)
    assert compare(torch.tensor([1.0, math.nan, math.nan, 0.0, 4.0]), reference) == (4, math.inf)


def test_ratios_are_beside_the_right_contender() -> None:
    seconds = {"copy": 1e-6, "nn.Dropout": 4e-6, "nn.Dropout, then +": 8e-6, "Dropout": 2e-6, "dropout_add": 4e-6}
    found = {(m.subject, m.quantity): m.value for m in yield_ratios(seconds, "forward", "eager", "1")}
    assert found["Dropout", "us"] == pytest.approx(2)
    assert found["Dropout", "x torch"] == pytest.approx(0.5)
    assert found["dropout_add", "x torch"] == pytest.approx(0.5)
    assert found["Dropout", "of copy"] == pytest.approx(0.5)
    assert found["dropout_add", "of copy"] == pytest.approx(1.5 / 4)
    assert ("copy", "x torch") not in found


@pytest.mark.parametrize(
    ("ratios", "size"), [({1: 2.0, 2: 0.9, 4: 1.1, 8: 1.0, 16: 0.5}, 8), ({1: 0.5}, 1), ({1: 0.5, 2: 1.5}, None)]
)
def test_the_crossing_is_where_all_larger_sizes_are_faster(ratios: dict[int, float], size: int | None) -> None:
    assert find_crossing(ratios) == size


@pytest.mark.parametrize("name", [name for name, case in LAYERS.items() if case.dims])
def test_noise_of_a_layer_is_as_strong_as_p_and_another_is_found(name: str) -> None:
    case = LAYERS[name]
    x = torch.ones(case.shape, requires_grad=True)
    y = case.new()(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert deviation(y, case.dims, case.drops) < 5
    assert gradient_is_mask(y, gradient, case.drops)
    assert not gradient_is_mask(y, gradient.roll(1, 0), case.drops)
    weaker = ad.functional.dropout(torch.ones(512, 1024), P / 2) if case.drops else 1.1 * y
    assert deviation(weaker, 2 if case.drops else case.dims, case.drops) > 5


def test_dropout_and_addition_are_the_same_by_either_way() -> None:
    def both(layer: torch.nn.Module) -> tuple[Tensor, Tensor]:
        x = torch.ones(4096, requires_grad=True)
        y = layer(x)
        return y, torch.autograd.grad(y.sum(), x)[0]

    for y, gradient in (both(Added()), both(AddedByTorch())):
        assert y.unique().tolist() == pytest.approx([1, 1 + 1 / (1 - P)], abs=1e-4)
        torch.testing.assert_close(y - 1, gradient)
