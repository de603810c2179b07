"""The four places of the network, dropout at fixed rates there, and the rates that a run had."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import lightning.pytorch as L
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.checks import check_p
from benchmarks.study.cells import Cell
from benchmarks.supervised.method import Method
from benchmarks.supervised.task import SupervisedTask
from benchmarks.supervised.training import TrainedRow, train

__all__ = ["ALL", "PLACES", "PlacedRow", "after", "each", "place", "train_placed"]

PLACES = {"input": "dropout0", "conv1": "dropout1", "conv2": "dropout2", "dense": "dropout3"}
"""The layer of the network by the name of the place."""

ALL = " ".join(PLACES)
"""Every place, as a study writes several of them."""


def after(places: str = "dense", p: float = 0.3) -> Method:
    """Bernoulli masks with a fixed ``p`` on the output of each of ``places``, words of `PLACES`."""
    named = places.split()
    if unknown := [name for name in named if name not in PLACES]:
        raise ValueError(f"no place {unknown[0]!r}; there are {', '.join(PLACES)}")
    if not named:
        raise ValueError(f"places has to name at least one of {', '.join(PLACES)}, but is empty")
    return _fixed(dict.fromkeys(named, check_p(p)))


def each(input: float = 0.0, conv1: float = 0.0, conv2: float = 0.0, dense: float = 0.0) -> Method:
    """Bernoulli masks with a fixed p for each place."""
    return _fixed({"input": input, "conv1": conv1, "conv2": conv2, "dense": dense})


def _fixed(rates: Mapping[str, float]) -> Method:
    checked = {name: check_p(p, name) for name, p in rates.items()}
    return Method(functools.partial(ad.Dropout, 0.0), change=functools.partial(place, checked))


def place(rates: Mapping[str, float], network: nn.Module) -> nn.Module:
    """Return ``network`` with dropout on its input too, and the rates of its places set; others stay."""
    placed = nn.Sequential(OrderedDict([("dropout0", ad.Dropout(0.0)), *network.named_children()]))
    ad.set_rates(placed, {PLACES[name]: p for name, p in rates.items()})
    return placed


@dataclass(frozen=True)
class PlacedRow(TrainedRow):
    """A `TrainedRow`, and the rates of the places in the order of `PLACES`; 0 where a network has no layer.

    Args:
        best_rates: at the lowest validation loss.
        last_rates: at the last validation, before the decision after it.
    """

    best_rates: tuple[float, ...]
    last_rates: tuple[float, ...]


class _Rates(L.Callback):
    """Reads the rates at each validation, so it comes before what moves them."""

    def __init__(self) -> None:
        self.best: tuple[float, ...] = ()
        self.last: tuple[float, ...] = ()
        self._lowest = float("inf")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != "fit":
            return
        named = {name.rpartition(".")[2]: p for name, p in ad.get_rates(pl_module).items()}
        self.last = tuple(named.get(layer, 0.0) for layer in PLACES.values())
        if (val_loss := float(trainer.callback_metrics["val_loss"])) < self._lowest:
            self._lowest, self.best = val_loss, self.last


def train_placed(cell: Cell, task: SupervisedTask, method: Method, folder: Path, accelerator: str) -> PlacedRow:
    """Do what `train` does, and note the rates."""
    rates = _Rates()
    row = train(cell, task, replace(method, callbacks=lambda: [rates, *method.callbacks()]), folder, accelerator)
    return PlacedRow(**asdict(row), best_rates=rates.best, last_rates=rates.last)
