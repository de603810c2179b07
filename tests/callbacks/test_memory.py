"""The copies of a network that a decision measures are freed at once, not when Python's garbage collector runs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import fit

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
NETWORKS: weakref.WeakSet[nn.Module] = weakref.WeakSet()  # not in the module, which is copied with what it holds
RULES = (ad.RestartController(), ad.RewindController(ad.HypergradientController()))


class Noted(Classifier):
    """Notes the network of each of its copies that takes a step."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self._note()
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._note()
        super().validation_step(batch, batch_idx)

    def _note(self) -> None:
        NETWORKS.add(self.network)


class Held(L.Callback):
    """Counts the networks in memory at the beginning of each epoch, after a decision."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.counts.append(len(NETWORKS))


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    NETWORKS.clear()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_nothing_that_a_decision_measured_stays_in_memory(
    rule: ad.Controller, tmp_path: Path, without_collector: None
) -> None:
    held, model = Held(), Noted(MLP(64, 10, (32,), lambda: ad.Dropout(0.3)), 10)
    fit(model, tmp_path, [held, AdaptiveDropout(rule)], max_epochs=20)
    assert held.counts == [0, *[1] * 19]
