from __future__ import annotations

from pathlib import Path

import pytest
import torch

import adaptive_dropout as ad
from benchmarks.learned.sparse import RECIPES, Recipe, Row, network, slope, train, write_lines
from benchmarks.study.rows import append, read

ROW = Row(
    "2025-01-01T00:00:00Z",
    "abc",
    "a machine",
    "torch 2",
    1,
    "784-300-10",
    "published",
    3,
    40,
    600.0,
    0.9843,
    31.5,
    7562,
)


def test_a_row_comes_back_from_the_file_that_it_was_appended_to(tmp_path: Path) -> None:
    file = tmp_path / "sparse.csv"
    for _ in range(2):
        append(file, ROW)
    assert read(file, Row) == [ROW, ROW]
    assert len(file.read_text().splitlines()) == 3


def test_the_table_puts_our_runs_under_the_published_value() -> None:
    shown = list(write_lines([ROW]))
    at = next(n for n, line in enumerate(shown) if "98.40% | 35.6x" in line)
    assert shown[at + 1] == "| 784-300-10 | **ours**, published, seed 3 | 98.43% | 31.5x | 40 | 10.0 |"


def test_the_divergence_warms_up_and_the_learning_rate_falls() -> None:
    published, linear = RECIPES["published"], RECIPES["linear"]
    assert [published.factor(done) for done in (0.0, 0.25, 0.5, 1.0)] == [0.0, 0.5, 1.0, 1.0]
    falls = [published.lr_factor(done) for done in (0.0, 0.49, 0.5, 0.65, 0.9)]
    assert falls == pytest.approx([1.0, 1.0, 0.2, 0.2**2, 0.2**4])
    assert [linear.lr_factor(done) for done in (0.0, 0.5, 0.75, 1.0)] == [1.0, 1.0, 0.5, 0.0]


def test_a_network_learns_and_drops_the_weights_of_pixels_that_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    y = torch.randint(10, (400,))
    x = torch.zeros(400, 784)
    x[torch.arange(400), 10 * y] = 5.0  # ten of the 784 pixels, one for each class
    model = network([20])
    right = train(model, (x, y), (x, y), Recipe(0.2, slope, batch=100, rate_lr=0.2, lr=0.02), epochs=60)
    assert right > 0.95
    assert ad.sparsity(model).compression > 10
    assert capsys.readouterr().err.count("epoch") == 60
