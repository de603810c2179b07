"""Tables: California housing and adult, with the plain network that two searches of 100 trials each tuned."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import QuantileTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanSquaredError, MetricCollection

from adaptive_dropout.data import TensorDataModule
from adaptive_dropout.data.base import Examples
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier, Task
from benchmarks.anchors.anchor import Anchor, require

__all__ = ["Adult", "California", "read_table"]

Parts = tuple[Examples, Examples, Examples]


@functools.lru_cache(maxsize=1)
def read_table(file: Path) -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
    """Return the columns of a tab-separated ``file`` by name, without ``target``, and the target."""
    with gzip.open(file, "rt") as lines:
        names = lines.readline().split()
        values = np.loadtxt(lines, dtype=np.float64)
    columns = dict(zip(names, values.T, strict=True))
    return columns, columns.pop("target")


def make_normal(values: NDArray[Any], train: NDArray[Any]) -> NDArray[Any]:
    """Return every column mapped to a normal distribution by its quantiles over the rows ``train``.

    A little noise before the fit separates equal values; as published.
    """
    known = values[train] + np.random.default_rng(0).normal(0.0, 1e-5, values[train].shape)
    quantiles = max(min(len(train) // 30, 1000), 10)
    made = QuantileTransformer(n_quantiles=quantiles, output_distribution="normal", subsample=10**9, random_state=0)
    return made.fit(known).transform(values)  # type: ignore[no-any-return]


class _Table(TensorDataModule):
    def __init__(self, parts: Parts, batch_size: int, seed: int, unit: float = 1.0) -> None:
        super().__init__(batch_size, seed)
        self.parts = parts
        self.unit = unit

    def examples(self) -> Parts:
        return self.parts


class _Mean(Task):
    """Trains a mean by squared error; the network maps (batch, features) to (batch, 1), and y is (batch,)."""

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the mean squared error, 0-dim."""
        return F.mse_loss(output.squeeze(1), y)

    def prediction(self, output: Tensor) -> Tensor:
        """Return the mean, (batch,)."""
        return output.squeeze(1)

    def metrics(self) -> MetricCollection:
        """Return the root mean squared error of the standardised target."""
        return MetricCollection({"rmse": MeanSquaredError(squared=False)})


def _cut(x: NDArray[Any], y: Tensor, parts: list[NDArray[Any]]) -> Parts:
    inputs = torch.from_numpy(x).float()
    train, val, test = (Examples(inputs[part], y[part]) for part in parts)
    return train, val, test


@dataclass(frozen=True)
class California(Anchor):
    """20 640 districts and the price of a house there, in units of 100 000 dollars.

    The published split is not in the file: 64 % train, 16 % validate and 20 % test, another split for each seed.

    Args:
        every, validations: as in `Anchor`; 220 epochs of 52 batches, where the published runs stopped.
        lr, weight_decay: of AdamW.
        hidden, layers: of the network.
    """

    every: int = 104
    validations: int = 110
    lr: float = 5.6355e-4
    weight_decay: float = 0.028759
    hidden: int = 208
    layers: int = 2

    p: ClassVar[float] = 0.172
    clip: ClassVar[float | None] = 1.0

    def files(self, folder: Path) -> list[Path]:
        """Return the table."""
        return require(folder, "tabular/537_houses.tsv.gz")

    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return a split of the districts, in batches of 256."""
        columns, target = read_table(self.files(folder)[0])
        order = np.random.default_rng(seed).permutation(len(target))
        train, val, test = np.split(order, [13_209 * len(target) // 20_640, 16_512 * len(target) // 20_640])
        mean, spread = target[train].mean(), target[train].std()
        y = torch.from_numpy((target - mean) / spread).float()
        x = make_normal(np.stack(list(columns.values()), 1), train)
        return _Table(_cut(x, y, [train, val, test]), 256, seed, spread / 1e5)

    def model(self, data: Any, p: float) -> L.LightningModule:
        """Return the published network, which predicts the standardised price."""
        optimizer = functools.partial(torch.optim.AdamW, lr=self.lr, weight_decay=self.weight_decay)
        return _Mean(_network(data, 1, self, p), optimizer)

    def score(self, tested: Mapping[str, float], data: Any) -> float:
        """Return the RMSE in 100 000 dollars."""
        unit: float = data.unit
        return tested["test_rmse"] * unit


@dataclass(frozen=True)
class Adult(Anchor):
    """Whether an income is above 50 000 dollars: the last 16 281 of 48 842 rows test, as published.

    A fifth of the others validates, another fifth for each seed.

    Args:
        every, validations: as in `Anchor`; 40 epochs of 102 batches, where the published run stopped.
        lr, weight_decay: of AdamW.
        hidden, layers: of the network.
    """

    every: int = 51
    validations: int = 80
    lr: float = 1.0632e-4
    weight_decay: float = 0.079511
    hidden: int = 400
    layers: int = 4

    p: ClassVar[float] = 0.231
    clip: ClassVar[float | None] = 1.0

    def files(self, folder: Path) -> list[Path]:
        """Return the table."""
        return require(folder, "tabular/adult.tsv.gz")

    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the published test rows, and a split of the others, in batches of 256."""
        columns, target = read_table(self.files(folder)[0])
        tested = len(target) * 16_281 // 48_842
        rest, test = np.split(np.arange(len(target)), [len(target) - tested])
        train, val = np.split(np.random.default_rng(seed).permutation(rest), [4 * len(rest) // 5])
        numbers = make_normal(np.stack([columns[name] for name in NUMBERS], 1), train)
        x = [numbers, *(_one_hot(values) for name, values in columns.items() if name not in NUMBERS)]
        parts = _cut(np.concatenate(x, 1), torch.from_numpy(target).long(), [train, val, test])
        return _Table(parts, 256, seed)

    def model(self, data: Any, p: float) -> L.LightningModule:
        """Return the published network."""
        optimizer = functools.partial(torch.optim.AdamW, lr=self.lr, weight_decay=self.weight_decay)
        return Classifier(_network(data, 2, self, p), 2, optimizer)

    def score(self, tested: Mapping[str, float], data: Any) -> float:
        """Return the accuracy in percent."""
        return 100 * tested["test_accuracy"]


NUMBERS = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")


def _one_hot(values: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = values[:, None] == np.unique(values)
    return found.astype(np.float64)


def _network(data: Any, outputs: int, task: California | Adult, p: float) -> MLP:
    features = data.train_set.x.shape[1]
    return MLP(features, outputs, [task.hidden] * task.layers, lambda: nn.Dropout(p))
