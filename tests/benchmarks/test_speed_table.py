from __future__ import annotations

from benchmarks.speed.contenders import NOISES
from benchmarks.speed.results import Row
from benchmarks.speed.table import lines
from benchmarks.study.place import Place

PLACE = Place("2026-01-01T00:00:00Z", "abc", "a machine", "Python, torch", "cpu", 1, "recycling")
MEGA = 1 << 20
BOTH = "forward+backward"


def row(noise: str, what: str, elements: int, contender: str, microseconds: float, **changed: object) -> Row:
    place = {name: changed.pop(name, value) for name, value in vars(PLACE).items()}
    cells = {"rounds": 5, "spread": 0.01, "saved": 0.0, "note": "", **changed}
    return Row(  # type: ignore[call-arg]
        **place, noise=noise, what=what, elements=elements, contender=contender, microseconds=microseconds, **cells
    )


def group(noise: str, what: str, elements: int, microseconds: dict[str, float], **changed: object) -> list[Row]:
    return [row(noise, what, elements, name, time, **changed) for name, time in microseconds.items()]


def section(rows: list[Row], title: str) -> list[str]:
    text = "\n".join(lines(rows))
    return text.split(f"## {title}\n")[1].split("\n## ")[0].strip().splitlines()


def times(noise: str, ours: float, others: float = 12.0, copy: float = 0.5) -> dict[str, float]:
    return {"copy": copy, **dict.fromkeys(NOISES[noise].contenders, others), "ours": ours}


def test_a_missed_target_comes_first_then_what_is_not_measured() -> None:
    rows = group("Bernoulli", BOTH, MEGA, times("Bernoulli", 2.0)) + group(
        "Bernoulli", BOTH, 1 << 16, times("Bernoulli", 1.0)
    )
    table = section(rows, "Targets")[4:]
    place = "cpu, threads: 1, recycling"
    assert table[0] == f"| Bernoulli | {BOTH} | {place} | {MEGA:,} | 12 times as fast as nn.Dropout | 6 | **no** |"
    assert table[1].endswith("| not measured |  |")
    met = [line for line in table if line.endswith("| yes |")]
    assert table[-len(met) :] == met
    assert any("| 65,536 | 5 times as fast as nn.Dropout | 12 | yes |" in line for line in met)


def test_bytes_that_are_saved_miss_the_target() -> None:
    rows = group("Gaussian", BOTH, MEGA, times("Gaussian", 1.0), saved=4.0)
    assert "| 0 bytes an element saved | 4 | **no** |" in section(rows, "Targets")[4]


def test_where_a_layer_loses_the_worst_comes_first() -> None:
    slower = times("Gaussian", 10.0) | {"naive": 9.0}
    slowest = times("alpha", 10.0) | {"nn.AlphaDropout": 1.0}
    rows = group("Gaussian", BOTH, 1024, slower) + group("alpha", "forward", 256, slowest)
    rows += group("alpha", "forward", 1024, slowest | {"nn.AlphaDropout": 5.0}, threads=2)
    table = section(rows, "Where a layer loses")[2:]
    assert table[0] == "| noise | pass | against | cpu, 1, recycling | cpu, 2, recycling |"
    assert table[2] == "| alpha | forward | nn.AlphaDropout | 256: 0.10 | 1,024: 0.50 |"
    assert table[3] == f"| Gaussian | {BOTH} | naive | 1,024: 0.90 |  |"
    assert len(table) == 4


def test_no_loss_is_said_too() -> None:
    assert section(group("alpha", "forward", 256, times("alpha", 1.0)), "Where a layer loses") == ["Nowhere."]


def test_ratios_are_of_the_reference_over_the_contender_and_shares_of_the_copy() -> None:
    rows = group("concrete, p learned", BOTH, MEGA, times("concrete, p learned", 5.0, copy=1.0), saved=0.25)
    table = section(rows, f"cpu, threads: 1, allocator: recycling, {BOTH}")
    assert "| **concrete, p learned: ours** | 0.25 | 2.40 |" in table
    assert "| concrete, p learned: naive | 0.25 | 1.00 |" in table
    assert "| concrete, p learned: ours, of the copy bandwidth |  | 50% |" in table  # 2.5 copies of 1 us in 5 us
    assert table[-1] == "| copy, GB/s |  | 8388.6 |"  # 8 MiB in a microsecond


def test_what_could_not_run_says_why() -> None:
    rows = group("Gaussian", BOTH, MEGA, times("Gaussian", 1.0))
    rows = [row for row in rows if not row.contender.startswith("Keras")]
    absent = {"Keras' GaussianDropout": float("nan")}
    rows += group("Gaussian", BOTH, MEGA, absent, note="not installed", saved=float("nan"))
    table = section(rows, f"cpu, threads: 1, allocator: recycling, {BOTH}")
    assert "| Gaussian: Keras' GaussianDropout | not installed |  |" in table
    assert section(rows, "Where a layer loses") == ["Nowhere."]


def test_only_the_last_run_on_a_device_is_shown() -> None:
    old = group("Gaussian", BOTH, MEGA, times("Gaussian", 100.0), started="2025-01-01T00:00:00Z", commit="old")
    new = group("alpha", BOTH, MEGA, times("alpha", 1.0))
    for rows in (old + new, new + old):
        text = "\n".join(lines(rows))
        assert "commit abc" in text
        assert "commit old" not in text
        assert "Gaussian: ours" not in text
