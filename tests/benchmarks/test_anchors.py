from __future__ import annotations

import gzip
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from adaptive_dropout.inference.mc_mode import noise_on
from adaptive_dropout.tasks import LanguageModel
from benchmarks.anchors.anchor import Anchor
from benchmarks.anchors.cells import AnchorRow
from benchmarks.anchors.characters import Characters
from benchmarks.anchors.experiment import ANCHORS, TASKS
from benchmarks.anchors.graphs import GCN, read_graph
from benchmarks.anchors.methods import METHODS
from benchmarks.anchors.minesweeper import DeepGCN, read_grid
from benchmarks.anchors.published import PUBLISHED
from benchmarks.anchors.sentences import SentenceCNN, number_words
from benchmarks.anchors.table import lost, write_page
from benchmarks.anchors.tabular import make_normal
from benchmarks.study.cells import Cell
from benchmarks.study.study import Study, read_study

STUDY = """
tasks: {cora: {validations: 30}, california: {every: 1, validations: 20}, trec: {every: 1, validations: 20},
  words: {every: 2, validations: 20, units: 4, tokens: 1500}}
methods: {published: , none: , default: , adaptive: , adaptive-0.1: {kind: adaptive_from, p: 0.1}}
seeds: [0, 1]
"""
NODES = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with three classes of nodes that show their class, a table and a few questions."""
    rng = np.random.default_rng(0)
    label = np.arange(NODES) % 3
    column = np.concatenate([label, label + 3])
    edges = np.stack([np.arange(NODES - 3), np.arange(3, NODES)], 1)  # between nodes of a class
    parts: dict[str, Any] = {"train": np.arange(15), "val": np.arange(15, 40), "test": np.arange(40, NODES)}
    for name in ("graphs", "tabular", "sentences", "ptb"):
        (tmp_path / "data" / name).mkdir(parents=True)
    np.savez(
        tmp_path / "data" / "graphs" / "cora.npz", feature_row=np.tile(np.arange(NODES), 2), feature_column=column,
        feature_value=np.ones(2 * NODES, np.float32), shape=np.array([NODES, 6]), label=label, edges=edges, **parts,
    )  # fmt: skip
    x = rng.normal(size=(400, 2))
    lines = [f"{a}\t{b}\t{1e5 * (2 + a - b)}" for a, b in x]
    _write(tmp_path / "data" / "tabular" / "537_houses.tsv.gz", ["one\ttwo\ttarget", *lines])
    questions = ["HUM:ind Who is it ?", "NUM:count How many are there ?"] * 60
    _write(tmp_path / "data" / "sentences" / "TREC.train.gz", questions)
    _write(tmp_path / "data" / "sentences" / "TREC.test.gz", ["HUM:ind Who was there ?"] * 5)
    for part in ("train", "valid", "test"):
        _write(tmp_path / "data" / "ptb" / f"ptb.{part}.txt.gz", ["the dog saw the cat", "the cat ran"] * 160)
    return tmp_path / "data"


def _write(file: Path, lines: list[str]) -> None:
    file.write_bytes(gzip.compress("\n".join(lines).encode()))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "small.yaml").write_text(STUDY)
    return read_study(tmp_path / "small.yaml", TASKS, METHODS)


def row(study: Study, task: str, method: str, seed: int, score: float) -> AnchorRow:
    its = next(each for each in study.tasks if each.name == task)
    how = next(each for each in study.methods if each.name == method)
    cell = Cell(study.name, its, how, seed, "data")
    return AnchorRow(
        key=cell.key, study=study.name, task=task, method=method, seed=seed, task_settings=its.content,
        method_settings=how.content, data="data", commit="abc", versions="torch 2", machine="made up", seconds=90.0,
        val_loss=1.0, best_at=3, score=score, last_score=score, rates=(0.25, 0.5), rewinds=1,
    )  # fmt: skip


def test_the_adjacency_is_that_of_the_formula(folder: Path) -> None:
    graph = read_graph(folder / "graphs" / "cora.npz")
    with np.load(folder / "graphs" / "cora.npz") as arrays:
        edges = arrays["edges"]
    joined = torch.eye(NODES)
    joined[edges[:, 0], edges[:, 1]] = joined[edges[:, 1], edges[:, 0]] = 1
    scale = joined.sum(1).rsqrt()
    torch.testing.assert_close(graph["adjacency"].to_dense(), scale[:, None] * joined * scale)
    torch.testing.assert_close(graph["features"].to_dense().sum(1), torch.ones(NODES))


def test_a_graph_convolution_is_the_published_formula(folder: Path) -> None:
    graph = read_graph(folder / "graphs" / "cora.npz")
    network = GCN(6, 3, 0.5).eval()
    adjacency, x = graph["adjacency"].to_dense(), graph["features"].to_dense()
    expected = adjacency @ (adjacency @ x @ network.weight1).relu() @ network.weight2
    torch.testing.assert_close(network(graph), expected)


def test_dropout_of_a_sparse_input_keeps_its_mean(folder: Path) -> None:
    torch.manual_seed(0)
    graph = read_graph(folder / "graphs" / "cora.npz")
    network = GCN(6, 3, 0.5)
    network.dropout2.p = 0.0
    with torch.no_grad(), noise_on(network):
        drawn = torch.stack([network.dropout1(graph["features"].values()) for _ in range(2000)])
    # 2000 masks of variance p / (1 - p) = 1 on values of 0.5.
    assert float((drawn.mean(0) - 0.5).abs().max()) < 5 * 0.5 / 2000**0.5


def test_both_ways_to_write_a_graph_give_the_same_steps(folder: Path) -> None:
    rows = []
    for name in ("cora", "cora-nodes"):
        choice = replace(_choice(name), settings={**_choice(name).settings, "validations": 5})
        rows.append(ANCHORS.run_cell(folder, "cpu", Cell("s", choice, _method("published"), 0, "data")))
    first, second = rows
    assert isinstance(first, AnchorRow)
    assert isinstance(second, AnchorRow)
    assert (first.score, first.rates) == (second.score, second.rates)
    assert first.val_loss == pytest.approx(second.val_loss, rel=1e-5)


def test_columns_become_normal_by_the_training_rows() -> None:
    values = np.random.default_rng(0).exponential(size=(4000, 2)) * [1.0, 1000.0]
    made = make_normal(values, np.arange(3000))
    assert np.abs(made[:3000].mean(0)).max() < 5 / 3000**0.5
    assert np.abs(made[:3000].std(0) - 1).max() < 0.1


def test_padding_changes_no_logits() -> None:
    torch.manual_seed(0)
    network = SentenceCNN(9, 2, 0.5, 4, 3).eval()
    short = torch.tensor([[1, 2, 3, 4, 5, 6, 0, 0]])
    longer = torch.cat([short, torch.zeros(1, 4, dtype=torch.long)], 1)
    torch.testing.assert_close(network(short), network(longer))
    x, words = number_words([["b", "a"], ["c", "a", "b"]])
    assert x.tolist() == [[2, 1, 0], [3, 1, 2]]
    assert words == 4


def test_a_grid_is_read_in_its_published_split_and_the_network_gives_a_logit_a_field(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    masks: dict[str, Any] = {
        f"{part}_masks": np.arange(NODES)[None] % 3 == k for k, part in enumerate(("train", "val", "test"))
    }
    edges = np.stack([np.arange(NODES - 1), np.arange(1, NODES)], 1)
    features = rng.normal(size=(NODES, 7)).astype(np.float32)
    np.savez(tmp_path / "grid.npz", node_features=features, node_labels=np.arange(NODES) % 2, edges=edges, **masks)
    grid = read_grid(tmp_path / "grid.npz", 0)
    assert grid["val"].tolist() == list(range(1, NODES, 3))
    assert DeepGCN(7, 3, 4, 0.2)(grid).shape == (NODES,)


def test_the_learning_rate_rises_and_then_falls_to_a_tenth() -> None:
    model = Characters(every=1, validations=2000).model(SimpleNamespace(vocabulary=9), 0.1)
    assert isinstance(model, LanguageModel)
    share: Any = model._share
    assert [round(share(step), 3) for step in (0, 50, 100, 1050, 2000)] == [0.01, 0.505, 1.0, 0.55, 0.1]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["cora", "california", "trec", "words"])
@pytest.mark.parametrize("method", ["none", "published", "default", "adaptive", "adaptive-0.1"])
@pytest.mark.filterwarnings("ignore:the validation loss of training data cannot be measured")
@pytest.mark.filterwarnings("ignore:.*many workers")
def test_every_method_trains_and_gives_the_same_row_again(task: str, method: str, folder: Path, study: Study) -> None:
    its = next(each for each in study.tasks if each.name == task)
    how = next(each for each in study.methods if each.name == method)
    first, second = (ANCHORS.run_cell(folder, "cpu", Cell("small", its, how, 0, "data")) for _ in range(2))
    assert asdict(first) | {"seconds": 0} == asdict(second) | {"seconds": 0}
    assert isinstance(first, AnchorRow)
    assert np.isfinite(first.score)
    if method in ("none", "published"):
        assert set(first.rates) == {0.0 if method == "none" else TASKS[task]().p}


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    for make in TASKS.values():
        task = make()
        assert isinstance(task, Anchor)
        with pytest.raises(FileNotFoundError, match="--data-dir has to hold "):
            task.files(tmp_path)


@pytest.mark.parametrize(("kind", "settings"), [("adaptive_from", {"p": 1.0}), ("adaptive_from", {"p": -0.1})])
def test_a_rate_out_of_range_is_named(kind: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"p has to be in \[0, 1\)"):
        METHODS[kind](**settings)


def test_worse_is_above_zero_whichever_way_the_measure_goes(study: Study) -> None:
    for task, worse in (("cora", 79.0), ("california", 0.6)):
        better = 80.0 if task == "cora" else 0.5
        found = {
            "published": [row(study, task, "published", seed, better) for seed in (0, 1)],
            "none": [row(study, task, "none", 1, worse)],
        }
        difference = lost(task, found, "none")
        assert difference is not None
        assert difference[0] == pytest.approx(abs(worse - better))


def test_what_loses_stands_first(study: Study, tmp_path: Path) -> None:
    rows = [row(study, "cora", method, 0, score) for method, score in
            (("published", 80.0), ("none", 75.0), ("default", 82.0))]  # fmt: skip
    rows += [row(study, "california", method, 0, score) for method, score in
             (("published", 0.5), ("default", 0.6))]  # fmt: skip
    write_page([study], rows, tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert text.index("## california") < text.index("## cora")
    assert [text.index(f"| {method} | 1 |", text.index("## cora")) for method in ("none", "published")] == sorted(
        text.index(f"| {method} | 1 |", text.index("## cora")) for method in ("none", "published")
    )
    assert "| none | 1 | 75.00 | 75.00 | +5.00 | 0.25, 0.50 | 1.0 | 3 | 1.5 |" in text
    assert "cora adaptive (2 of 2 seeds)" in text
    assert "trec, words." in text


def test_every_task_of_the_committed_studies_has_a_published_number() -> None:
    assert set(PUBLISHED) == set(TASKS)
    for study in ANCHORS.studies():
        assert {"published"} <= {method.name for method in study.methods}


def _choice(name: str) -> Any:
    return next(each for study in ANCHORS.studies() for each in study.tasks if each.name == name)


def _method(name: str) -> Any:
    return next(each for study in ANCHORS.studies() for each in study.methods if each.name == name)
