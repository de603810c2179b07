"""The networks whose rates are learned, and their pages."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

import adaptive_dropout as ad
from benchmarks.learned import sparse, spatial, toy
from benchmarks.learned.runs import Row, measure_accuracy
from benchmarks.study.rows import append, read

PLACE = ("now", "abc", "a machine", "versions", "cpu", 1, "default")
ROW = Row(*PLACE, "published", 50, 0, 1500, 1.2, (0.06, 0.32, 0.33, 0.325, 0.2), 9.0)


def test_a_run_of_the_toy_problem_is_a_row_and_a_line(tmp_path: Path) -> None:
    out = tmp_path / "toy.csv"
    toy.main(["--n", "10", "--seeds", "0", "1", "--width", "8", "--part", "0.002", "--out", str(out)])
    rows = read(out, Row)
    assert [(row.n, row.seed, row.steps, len(row.rates)) for row in rows] == [(10, 0, 4, 5), (10, 1, 4, 5)]
    assert "| 10 | 4 | 2 |" in out.with_suffix(".md").read_text()


@pytest.mark.slow
def test_the_toy_network_learns_and_its_rates_move() -> None:
    torch.manual_seed(0)
    model, data = toy.Toy(32), toy.draw(200)
    before = toy.rmse(model, data)
    toy.train(model, data, toy.RECIPES["converged"], 300)
    assert toy.rmse(model, data) < before / 2  # y is 8 away at first
    assert all(abs(p - 0.1) > 1e-3 for p in ad.get_rates(model).values())


@pytest.mark.parametrize(("p", "shown"), [(0.325, "| +0.000 |"), (0.34, "| **+0.015** |")])
def test_a_rate_that_is_off_is_shown_as_such(p: float, shown: str) -> None:
    row = dataclasses.replace(ROW, rates=(0.06, p, p, p, 0.2))
    assert shown in list(toy.write_lines([row]))[-1]


def test_misses_come_first_and_the_last_run_of_a_seed_counts() -> None:
    good = dataclasses.replace(ROW, n=1000, rates=(0.06, 0.232, 0.232, 0.232, 0.2))
    bad = dataclasses.replace(ROW, rates=(0.06, 0.9, 0.9, 0.9, 0.2))
    shown = list(toy.write_lines([bad, good]))
    assert shown[-2].startswith("| 50 | 1500 | 1 |")
    assert shown[-1].startswith("| 1000 |")
    assert "**" not in "".join(list(toy.write_lines([bad, ROW]))[7:])


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    append(tmp_path / "rows.csv", ROW)
    assert read(tmp_path / "rows.csv", Row) == [ROW]


@pytest.mark.slow
def test_the_convnet_learns_and_has_four_rates() -> None:
    torch.manual_seed(0)
    y = torch.arange(500) % 2
    x = torch.rand(500, 1, 8, 8) * (0.2 + 0.8 * y.view(-1, 1, 1, 1))
    model = spatial.network(size=8)
    assert spatial.train(model, (x, y), epochs=10) == 40
    assert measure_accuracy(model, (x, y)) > 0.9  # 0.5 by guessing
    assert list(ad.get_rates(model)) == ["0.dropout", "2.dropout", "6.dropout", "8.dropout"]


@pytest.mark.parametrize(("accuracy", "shown"), [(0.9893, "| 0.9893 |"), (0.98, "| **0.9800** |")])
def test_an_accuracy_below_the_target_is_shown_as_such(accuracy: float, shown: str) -> None:
    row = dataclasses.replace(ROW, score=accuracy, rates=(0.1, 0.1, 0.1, 0.1))
    assert shown in "".join(spatial.write_lines([row]))


SPARSE_PLACE = ("2025-01-01T00:00:00Z", "abc", "a machine", "torch 2", 1)
SPARSE_ROW = sparse.Row(*SPARSE_PLACE, "784-300-10", "published", 3, 40, 600.0, 0.9843, 31.5, 7562)


def test_a_row_comes_back_from_the_file_that_it_was_appended_to(tmp_path: Path) -> None:
    file = tmp_path / "sparse.csv"
    for _ in range(2):
        append(file, SPARSE_ROW)
    assert read(file, sparse.Row) == [SPARSE_ROW, SPARSE_ROW]
    assert len(file.read_text().splitlines()) == 3


def test_the_table_puts_our_runs_under_the_published_value() -> None:
    shown = list(sparse.write_lines([SPARSE_ROW]))
    at = next(n for n, line in enumerate(shown) if "98.40% | 35.6x" in line)
    assert shown[at + 1] == "| 784-300-10 | **ours**, published, seed 3 | 98.43% | 31.5x | 40 | 10.0 |"


def test_the_divergence_warms_up_and_the_learning_rate_falls() -> None:
    published, linear = sparse.RECIPES["published"], sparse.RECIPES["linear"]
    assert [published.factor(done) for done in (0.0, 0.25, 0.5, 1.0)] == [0.0, 0.5, 1.0, 1.0]
    falls = [published.lr_factor(done) for done in (0.0, 0.49, 0.5, 0.65, 0.9)]
    assert falls == pytest.approx([1.0, 1.0, 0.2, 0.2**2, 0.2**4])
    assert [linear.lr_factor(done) for done in (0.0, 0.5, 0.75, 1.0)] == [1.0, 1.0, 0.5, 0.0]


@pytest.mark.slow
def test_a_network_learns_and_drops_the_weights_of_pixels_that_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    y = torch.randint(10, (400,))
    x = torch.zeros(400, 784)
    x[torch.arange(400), 10 * y] = 5.0  # ten of the 784 pixels, one for each class
    model = sparse.network([20])
    right = sparse.train(
        model, (x, y), (x, y), sparse.Recipe(0.2, sparse.slope, batch=100, rate_lr=0.2, lr=0.02), epochs=60
    )
    assert right > 0.95
    assert ad.sparsity(model).compression > 10
    assert capsys.readouterr().err.count("epoch") == 60
