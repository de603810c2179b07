from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from benchmarks.speed import measure
from benchmarks.speed.__main__ import main
from benchmarks.speed.contenders import COPY, NAIVE, NOISES, OPTIONAL, OURS, TORCH, Noise, try_out
from benchmarks.speed.measure import measure_groups, saved_bytes
from benchmarks.speed.others import Naive, NaiveConcrete, bernoulli, gaussian
from benchmarks.speed.results import Row
from benchmarks.speed.timing import backward, cpu_clock, forward, interleaved
from benchmarks.study.rows import append, read
from tests.benchmarks.test_speed_table import PLACE, group

N = 1 << 16


def missing() -> nn.Module:
    raise ImportError("No module named 'keras'")


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = group("alpha", "forward", 256, {"ours": 1.5, "naive": 2.0}, note="a, note")
    for row in rows:
        append(tmp_path / "deep" / "results.csv", row)
    assert read(tmp_path / "deep" / "results.csv", Row) == rows


@pytest.mark.parametrize(
    ("layer", "saved"),
    [
        (Naive(bernoulli), 1.0),  # the mask
        (Naive(gaussian), 4.0),  # the noise
        (NaiveConcrete(), 12.0),  # z, 1 - z and the product that is divided by 1 - p
        (nn.Identity(), 0.0),
        (nn.Dropout(0.3), 4.0),
    ],
)
def test_saved_bytes_are_those_of_the_graph_beside_input_and_output(layer: nn.Module, saved: float) -> None:
    assert saved_bytes(layer, torch.randn(N // 64, 64)) == pytest.approx(saved, abs=0.01)


def test_bytes_that_are_freed_on_the_way_do_not_hide_others() -> None:
    class Chain(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x.sin() * 2).cos().exp() + 1  # sin saves x, cos its input, exp its result

    assert saved_bytes(Chain(), torch.randn(N)) == 8.0


def test_each_contender_has_a_turn_a_round_in_changing_order() -> None:
    called: list[str] = []
    calls = {name: (lambda name=name: called.append(name)) for name in "abc"}
    taken = interleaved(calls, cpu_clock, repeats=1, seconds=0.0)
    assert all(len(times) == 4 for times in taken.values())
    turns = called[3::2]  # after one call of each; a turn is two, of which one counts
    rounds = ["".join(turns[start : start + 3]) for start in range(0, len(turns), 3)]
    assert all(sorted(each) == list("abc") for each in rounds)
    assert len(set(rounds)) > 1


def test_a_time_is_that_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    now, called = iter([10.0, 16.0]), []
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    assert cpu_clock(lambda: called.append(1), 3) == 2.0
    assert len(called) == 4  # the first does not count


def test_a_forward_pass_has_no_graph_and_a_backward_pass_reaches_input_and_p() -> None:
    seen: list[bool] = []

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.p = nn.Parameter(torch.tensor(2.0))

        def forward(self, x: Tensor) -> Tensor:
            seen.append(torch.is_grad_enabled())
            return x * self.p

    forward(Watching(), torch.ones(3))()
    gradients = backward(Watching(), torch.ones(3))()
    assert seen == [False, True]
    assert [gradient.shape for gradient in gradients] == [(3,), ()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("noise", NOISES)
def test_contenders_of_a_noise_have_its_mean_and_variance(noise: str) -> None:
    torch.manual_seed(0)
    made = NOISES[noise]
    x = torch.ones(made.shape(1 << 20))
    ours = made.contenders[OURS]()(x).detach()
    draws = (1 << 20) / (64 if noise == "Bernoulli by channel" else 1)
    for name, new in made.contenders.items():
        if name in OPTIONAL or name == TORCH:
            continue
        theirs = new()(x).detach()
        # The naive concrete mean is 0.3 % low.
        assert abs(theirs.mean() - ours.mean()) < 5 * (2 * ours.var() / draws).sqrt() + 0.01
        assert abs(theirs.var() / ours.var() - 1) < 5 * 3 / draws**0.5 + 0.02


def test_what_is_not_installed_is_said_and_what_is_not_optional_raises() -> None:
    x = torch.randn(4, 64)
    assert try_out("Keras' GaussianDropout", missing, x) == "not installed"
    with pytest.raises(ImportError):
        try_out(OURS, missing, x)

    def broken() -> nn.Module:
        raise RuntimeError("no compiler\nin any folder")

    assert try_out("naive, compiled", broken, x) == "does not run here: RuntimeError: no compiler"
    assert isinstance(try_out("naive, compiled", lambda: ad.Dropout(0.3), x), nn.Module)


def test_a_group_holds_all_contenders_of_one_size_and_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    contenders = {TORCH: lambda: nn.Dropout(0.3), OURS: lambda: ad.Dropout(0.3), "Keras' GaussianDropout": missing}
    monkeypatch.setattr(measure, "NOISES", {"Bernoulli": Noise(lambda n: (n,), contenders)})
    measured = list(measure_groups(PLACE, [256, 8192], 0.0))
    assert [(rows[0].elements, rows[0].what) for rows in measured] == [
        (256, "forward"), (256, "forward+backward"), (8192, "forward"), (8192, "forward+backward"),
    ]  # fmt: skip
    for rows in measured:
        cells = {row.contender: row for row in rows}
        assert set(cells) == {COPY, TORCH, OURS, "Keras' GaussianDropout"}
        assert all(cells[name].microseconds > 0 and not cells[name].note for name in (COPY, TORCH, OURS))
        assert math.isnan(cells["Keras' GaussianDropout"].microseconds)
        assert cells["Keras' GaussianDropout"].note == "not installed"
        assert cells[TORCH].saved == pytest.approx(4, abs=0.01)


def test_a_run_has_a_process_for_each_place_and_ends_with_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[tuple[str, str, str | None]] = []

    def run(command: list[str], env: dict[str, str], check: bool) -> None:
        options = dict(part.split("=") for part in command if part.startswith("--") and "=" in part)
        started.append((options["--threads"], options["--allocator"], env.get("MALLOC_MMAP_THRESHOLD_")))
        changed = {"threads": int(options["--threads"]), "allocator": options["--allocator"]}
        times = {COPY: 1.0, TORCH: 2.0, OURS: 1.0, NAIVE: 2.0, "naive, compiled": 2.0}
        for row in group("Bernoulli", "forward", 256, times, **changed):
            append(Path(options["--out"]), row)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1")
    main(["--sizes", "256", f"--out={tmp_path / 'results.csv'}"])
    keep = "2000000000"
    assert started == [(n, name, kept) for name, kept in (("recycling", keep), ("default", None)) for n in "12"]
    assert (tmp_path / "table.md").read_text().count("**Bernoulli: ours** | 0 | 2.00 |") == 4
