from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import adaptive_dropout as ad
from benchmarks.anchors.cells import AnchorRow
from benchmarks.anchors.graphs import read_graph
from benchmarks.graphs.experiment import GRAPHS, run
from benchmarks.graphs.methods import METHODS
from benchmarks.graphs.network import DeepGCN, normalised
from benchmarks.graphs.table import write_page
from benchmarks.graphs.task import DeepCitation
from benchmarks.study.cells import Cell
from benchmarks.study.study import Study, read_study

STUDY = """
tasks: {cora: {every: 1, validations: 25, layers: 3, hidden: 8}}
methods: {without: {kind: fixed, edges: 0.0}, with: {kind: fixed}, bare: {kind: fixed, p: 0.0, edges: 0.5}, steered: }
seeds: [0, 1]
"""
NODES = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with three classes of nodes that show their class."""
    label = np.arange(NODES) % 3
    parts: dict[str, Any] = {"train": np.arange(15), "val": np.arange(15, 40), "test": np.arange(40, NODES)}
    (tmp_path / "data" / "graphs").mkdir(parents=True)
    np.savez(
        tmp_path / "data" / "graphs" / "cora.npz",
        feature_row=np.tile(np.arange(NODES), 2),
        feature_column=np.concatenate([label, label + 3]),
        feature_value=np.ones(2 * NODES, np.float32),
        shape=np.array([NODES, 6]),
        label=label,
        edges=np.stack([np.arange(NODES - 3), np.arange(3, NODES)], 1),  # between nodes of a class
        **parts,
    )
    return tmp_path / "data"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "small.yaml").write_text(STUDY)
    return read_study(tmp_path / "small.yaml", GRAPHS.tasks, METHODS)


def row(study: Study, method: str, seed: int, score: float) -> AnchorRow:
    (its,) = study.tasks
    how = next(each for each in study.methods if each.name == method)
    return AnchorRow(
        key=method, study=study.name, task="cora", method=method, seed=seed, task_settings=its.content,
        method_settings=how.content, data="data", commit="abc", versions="torch 2", machine="made up", seconds=90.0,
        val_loss=1.0, best_at=3, score=score, last_score=score, rates=(0.25, 0.5, 0.6), rewinds=1,
    )  # fmt: skip


def test_without_dropped_edges_the_adjacency_is_that_of_the_other_benchmark(folder: Path) -> None:
    graph = read_graph(folder / "graphs" / "cora.npz")
    edges = graph["adjacency"].indices()
    all_stay = torch.ones(edges.shape[1], dtype=torch.bool)
    torch.testing.assert_close(normalised(edges, all_stay, NODES).values(), graph["adjacency"].values())


def test_what_is_left_is_symmetric_and_a_node_without_edges_keeps_itself(folder: Path) -> None:
    graph = read_graph(folder / "graphs" / "cora.npz")
    network = DeepGCN(6, 3, layers=2, hidden=4, p=0.0, edges=0.5)
    edges = graph["adjacency"].indices()
    loops = edges[0] == edges[1]
    left = normalised(edges, network.drop_edge(edges) | loops, NODES).to_dense()
    torch.testing.assert_close(left, left.T)
    assert (left == 0).sum() > (graph["adjacency"].to_dense() == 0).sum()
    assert torch.equal(normalised(edges, loops, NODES).to_dense(), torch.eye(NODES))
    network.drop_edge.p = 1.0
    alone = edges[:, loops]
    other = dict(graph, adjacency=normalised(alone, torch.ones(NODES), NODES))
    torch.testing.assert_close(network(graph), network.eval()(other))


def test_the_task_has_the_layers_and_the_rates_that_were_asked_for(folder: Path) -> None:
    task = DeepCitation()
    model: Any = METHODS["fixed"]().model(task.data(folder, 0), task)
    assert list(ad.get_rates(model.network).values()) == [0.6, *[0.8] * 7]
    assert [tuple(weight.shape) for weight in model.network.weights] == [(6, 128), *[(128, 128)] * 6, (128, 3)]
    with pytest.raises(ValueError, match="layers has to be at least 2, but got 1"):
        DeepCitation(layers=1)
    with pytest.raises(ValueError, match=r"edges has to be in \[0, 1\], but got 2"):
        METHODS["fixed"](edges=2.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*many workers")
@pytest.mark.parametrize("method", ["with", "steered"])
def test_a_run_learns_and_says_where_its_rates_ended(folder: Path, study: Study, method: str) -> None:
    chosen = next(each for each in study.methods if each.name == method)
    (task,) = study.tasks
    cell = Cell("small", task, chosen, 0, "data")
    found = run(cell, DeepCitation(**task.settings), chosen.make(METHODS), folder, "cpu")
    assert len(found.rates) == 3
    assert found.score > 40
    assert (found.rates[0] == 0.6) == (method == "with")


def test_what_loses_stands_first_and_edges_are_compared_at_the_same_rate_of_features(
    study: Study, tmp_path: Path
) -> None:
    scores = {"without": 60.0, "with": 70.0, "bare": 50.0}
    rows = [row(study, name, seed, score + seed) for name, score in scores.items() for seed in (0, 1)]
    write_page([study], rows, tmp_path)
    text = (tmp_path / "table.md").read_text()
    places = [text.index(f"| {name} | 2 |") for name in ("bare", "without", "with")]
    assert places == sorted(places)
    assert "| with | 2 | 70.5 (0.5) | +10.0 (0.0) | 70.5 (0.5) | +10.0 (0.0) | 1.00 (0.00) | 0.25, 0.55 |" in text
    assert "| bare | 2 | 50.5 (0.5) |  | 50.5 (0.5) |  | 1.00 (0.00) | 0.25, 0.55" in text
    assert "Not run, with the number of seeds: steered (2)." in text
