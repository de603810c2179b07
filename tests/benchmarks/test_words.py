from __future__ import annotations

import gzip
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from benchmarks.anchors.cells import AnchorRow
from benchmarks.study.cells import Cell
from benchmarks.study.study import Study, read_study
from benchmarks.words import speed
from benchmarks.words.experiment import WORDS
from benchmarks.words.methods import METHODS, Trio
from benchmarks.words.table import write_page
from benchmarks.words.task import Words
from benchmarks.words.text import TIMES, read_words, side_by_side

STUDY = """
tasks: {words: {every: 2, validations: 20, units: 4, tokens: 1500}}
methods: {none: , between: , trio: , steered: , apart: }
seeds: [0]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three short texts of six words."""
    (tmp_path / "data" / "ptb").mkdir(parents=True)
    for part in ("train", "valid", "test"):
        lines = ["the dog saw the cat", "the cat ran"] * 160
        (tmp_path / "data" / "ptb" / f"ptb.{part}.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return tmp_path / "data"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "small.yaml").write_text(STUDY)
    return read_study(tmp_path / "small.yaml", WORDS.tasks, METHODS)


def row(study: Study, method: str, score: float) -> AnchorRow:
    (its,) = study.tasks
    how = next(each for each in study.methods if each.name == method)
    return AnchorRow(
        key=method, study=study.name, task="words", method=method, seed=0, task_settings=its.content,
        method_settings=how.content, data="data", commit="abc", versions="torch 2", machine="made up", seconds=90.0,
        val_loss=0.0, best_at=3, score=score, last_score=score, rates=(0.25, 0.5), rewinds=1,
    )  # fmt: skip


def test_a_batch_of_words_goes_on_where_the_one_before_ended() -> None:
    text = torch.arange(20 * 35 * 3 + 40)
    examples = side_by_side(text)
    assert len(examples) == 60
    for i in range(40):
        assert examples.x[i + 20][0] == examples.x[i][-1] + 1 == examples.y[i][-1]
    torch.testing.assert_close(examples.y, examples.x + 1)


def test_lines_end_with_a_word_and_texts_are_as_long_as_asked(folder: Path) -> None:
    (train, val, test), vocabulary = read_words(folder, 100, 50)
    assert (len(train), len(val), len(test), vocabulary) == (100, 50, 50, 6)
    assert train[5] == train[9] == 0, "<eos> is the first in the order of words"


def test_the_trio_has_its_published_rates_and_the_task_its_published_start() -> None:
    model: Any = METHODS["trio"]().model(9, Words(units=6))
    rates = ad.get_rates(model.network)
    assert list(rates.values()) == [0.1, 0.4, 0.5, 0.25, 0.4]
    assert asdict(Trio()) == dict(
        zip(("embedding", "input", "weight", "hidden", "output"), rates.values(), strict=True)
    )
    assert max(weight.abs().max() for weight in model.network.parameters()) <= 0.05
    between: Any = METHODS["between"]().model(9, Words(units=6))
    assert set(ad.get_rates(between.network).values()) == {0.5}
    assert set(dict(between.network.named_parameters())) == set(dict(model.network.named_parameters()))


def test_a_mean_over_times_is_trained_as_the_published_sum() -> None:
    model: Any = Words(units=6).train(METHODS["none"]().model(9, Words(units=6)).network)
    ((optimizer,), (schedule,)) = model.configure_optimizers()
    assert optimizer.defaults["lr"] == TIMES
    assert Words.clip == pytest.approx(5 / TIMES)
    shares = []
    for _ in range(9):
        shares.append(schedule.get_last_lr()[0] / TIMES)
        optimizer.step()
        schedule.step()
    assert shares == pytest.approx([1.0] * 6 + [1 / 1.2, 1 / 1.2**2, 1 / 1.2**3])


def test_the_anchor_has_torch_s_layers_in_the_same_network() -> None:
    model: Any = Words(units=6).model(type("Data", (), {"vocabulary": 9}), 0.5)
    assert [type(layer) for layer in model.modules() if "Dropout" in type(layer).__name__] == [nn.Dropout] * 3


def test_what_loses_stands_first_and_what_is_missing_is_said(study: Study, tmp_path: Path) -> None:
    rows = [row(study, name, score) for name, score in (("between", 90.0), ("none", 120.0), ("trio", 80.0))]
    write_page([study], rows, tmp_path)
    text = (tmp_path / "table.md").read_text()
    places = [text.index(f"| {name} | 1 |") for name in ("none", "between", "trio")]
    assert places == sorted(places)
    assert "| none | 1 | 120.0 | 1.0 | +30.0 | 0.25, 0.50 | 1.0 | 3 | 1.5 |" in text
    assert "Not run, with the number of seeds: steered (1), apart (1)." in text


def test_a_rate_out_of_range_is_named() -> None:
    with pytest.raises(ValueError, match=r"p has to be in \[0, 1\), but got 1\.0"):
        METHODS["between"](p=1.0)


def test_plain_forms_draw_the_same_kind_of_noise_as_ours() -> None:
    x, tokens = torch.ones(5, 4, 50), torch.arange(40).repeat(2, 1)
    for layer in (speed.PlainLocked(), ad.LockedDropout(speed.P)):
        y = layer(x)
        assert torch.equal(y, y[:1].expand_as(y))
        assert len(y.unique()) == 2
    for embedding in (speed.PlainEmbedding(40, 3), ad.EmbeddingDropout(40, 3, p=speed.P)):
        y = embedding(tokens)
        assert torch.equal(y[0], y[1])
        assert 0 < (y == 0).all(-1).sum() < 80
    for lstm in (make(6) for name, make in speed.NOISES["weight drop"].items() if name != speed.WITHOUT):
        outputs = [out[0] if isinstance(out, tuple) else out for out in (lstm(torch.ones(5, 2, 6)) for _ in range(2))]
        assert not torch.equal(*outputs)


@pytest.mark.slow
def test_a_run_of_the_speed_of_the_trio_gives_a_ratio_for_each_noise(tmp_path: Path, monkeypatch: Any) -> None:
    given = ["speed", "--widths", "8", "--seconds", "0", "--out", str(tmp_path / "speed.csv")]
    monkeypatch.setattr("sys.argv", given)
    speed.main()
    page = (tmp_path / "speed.md").read_text()
    assert all(f"| {noise} | 8 |" in page for noise in speed.NOISES)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:.*many workers")
def test_every_method_trains_and_gives_the_same_row_again(method: str, folder: Path, study: Study) -> None:
    (its,) = study.tasks
    how = next(each for each in study.methods if each.name == method)
    first, second = (WORDS.run_cell(folder, "cpu", Cell("small", its, how, 0, "data")) for _ in range(2))
    assert asdict(first) | {"seconds": 0} == asdict(second) | {"seconds": 0}
    assert isinstance(first, AnchorRow)
    assert 1 <= first.score < 100
    assert len(first.rates) == (3 if method in ("none", "between") else 5)
