"""All training data in one batch, and one batch between two validations: scores only where an error is known."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.controllers import State
from tests.callbacks.test_control import Log

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta state"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
    pytest.mark.filterwarnings("ignore:.*DataLoader.*will duplicate|The number of training batches"),
]


@dataclass(frozen=True)
class FirstIsBest(ad.Controller):
    """Has the clean loss measured, and takes the first validation for the best one."""

    def needs(self) -> frozenset[str]:
        return frozenset({"clean_loss"})

    def init(self, rates: Mapping[str, float]) -> Log:
        return Log(dict(rates))

    def update(self, state: State, signals: Mapping[str, float]) -> Log:
        assert isinstance(state, Log)
        return replace(state, improved=not state.signals, signals=(*state.signals, dict(signals)))


class Fitted(L.LightningModule):
    """A network that learns numbers by heart."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.network = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), ad.Dropout(0.1), nn.Linear(32, 3))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        x, y = batch
        return F.cross_entropy(self.network(x), y)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("val_loss", F.cross_entropy(self.network(x), y), batch_size=len(x))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.02)


class Nodes(Fitted):
    """One graph: a step reads the nodes of its stage."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return super().training_step(self.part(batch, slice(0, 20)), batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        super().validation_step(self.part(batch, slice(20, 40)), batch_idx)

    def part(self, graph: Any, nodes: slice) -> tuple[Tensor, Tensor]:
        return (graph["adjacency"] @ graph["x"])[nodes], graph["y"][nodes]


class Numbered(Fitted):
    """A graph is in the network, and a batch is numbers of its nodes."""

    def __init__(self, layout: torch.layout) -> None:
        super().__init__()
        self.register_buffer("adjacency", torch.eye(40).to_sparse(layout=layout))
        self.x = points(40).tensors[0]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return super().training_step(self.at(batch), batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        super().validation_step(self.at(batch), batch_idx)

    def at(self, batch: Any) -> tuple[Tensor, Tensor]:
        nodes, y = batch
        return (self.adjacency @ self.x)[nodes], y


def points(count: int) -> TensorDataset:
    drawn = torch.Generator().manual_seed(1)
    return TensorDataset(torch.randn(count, 6, generator=drawn), torch.randint(3, (count,), generator=drawn))


def signals_of_run(model: L.LightningModule, train: Any, val: Any, folder: Path) -> tuple[dict[str, float], ...]:
    control = DropoutRateControl(FirstIsBest())
    trainer = L.Trainer(
        max_epochs=8, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[control], default_root_dir=folder, log_every_n_steps=1,
        num_sanity_val_steps=0, limit_train_batches=1,
    )  # fmt: skip
    trainer.fit(model, train, val)
    assert isinstance(control.state, Log)
    return control.state.signals


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_masks_of_one_graph_are_named_and_give_no_score(tmp_path: Path, layout: torch.layout) -> None:
    x, y = points(40).tensors
    graph = {"adjacency": torch.eye(40).to_sparse(layout=layout), "x": x, "y": y}
    loader: Any = DataLoader([graph], batch_size=None)  # type: ignore[arg-type]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        signals = signals_of_run(Nodes(), loader, loader, tmp_path)
    said = [str(warning.message) for warning in heard if "cannot be measured" in str(warning.message)]
    assert len(said) == 1
    assert "as with masks of one graph" in said[0]
    assert all("train_loss" in seen for seen in signals)
    assert not [seen for seen in signals if {"gap_z", "clean_drop_z", "clean_loss"} & seen.keys()]


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_a_module_that_holds_a_sparse_tensor_is_measured(tmp_path: Path, layout: torch.layout) -> None:
    nodes, y = torch.arange(40), points(40).tensors[1]
    train, val = (TensorDataset(nodes[part], y[part]) for part in (slice(0, 20), slice(20, 40)))
    signals = signals_of_run(Numbered(layout), DataLoader(train, 20, shuffle=True), DataLoader(val, 20), tmp_path)
    assert all("clean_loss" in seen and "clean_drop_z" not in seen for seen in signals[1:])


@pytest.mark.parametrize("batch_size", [64, 100], ids=["all of it", "room for more"])
def test_the_same_examples_in_another_order_have_no_error(tmp_path: Path, batch_size: int) -> None:
    train = DataLoader(points(64), batch_size, shuffle=True)
    signals = signals_of_run(Fitted(), train, DataLoader(points(50), 50), tmp_path)
    assert [("clean_loss" in seen, "trivial_loss" in seen) for seen in signals] == [(False, False)] + [(True, True)] * 7
    assert not [seen for seen in signals if {"gap_z", "clean_drop_z"} & seen.keys()]


def test_validation_in_several_batches_gives_the_gap_an_error(tmp_path: Path) -> None:
    train = DataLoader(points(64), 64, shuffle=True)
    signals = signals_of_run(Fitted(), train, DataLoader(points(50), 10), tmp_path)
    assert all(0 < abs(seen["gap_z"]) < 100 for seen in signals[1:])
    assert not [seen for seen in signals[1:] if "clean_drop_z" in seen]


def test_the_fall_is_measured_although_the_best_validation_came_before_the_first_clean_loss(tmp_path: Path) -> None:
    train: Any = DataLoader(list(points(256)), 32, shuffle=True)  # not known to lie in memory
    signals = signals_of_run(Fitted(), train, DataLoader(points(50), 10), tmp_path)
    assert "clean_loss" not in signals[0]
    assert signals[1]["clean_drop_z"] == 0.0
    assert signals[-1]["clean_drop_z"] > 2
