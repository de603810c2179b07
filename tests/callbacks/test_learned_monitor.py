"""What is logged and told of learned rates in real Lightning runs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateMonitor, LearnedRateMonitor, RatePenalty
from tests.callbacks.toy import Memory, fit

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


class Model(L.LightningModule):
    """A noisy layer on inputs of one; the loss is the variance of what comes out."""

    def __init__(self, drop: nn.Module, weight_decay: float = 0.0, used: bool = True, lr: float = 0.01) -> None:
        super().__init__()
        self.drop, self.weight_decay, self.used, self.lr = drop, weight_decay, used, lr
        self.other = nn.Parameter(torch.zeros(()))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        noise = (self.drop(torch.ones(8, 4)) - 1).square().mean() if self.used else 0.0
        return noise + self.other**2

    def validation_step(self, batch: Tensor, batch_idx: int) -> None: ...

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)


def told(model: L.LightningModule, folder: Path, **trainer: Any) -> list[str]:
    """The warnings of a run, about rates only."""
    callbacks = trainer.pop("callbacks", [LearnedRateMonitor()])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(model, folder, callbacks, **trainer)
    return [str(w.message) for w in caught if "learned rate" in str(w.message)]


def test_alphas_are_logged_for_each_learned_rate(tmp_path: Path) -> None:
    logger = Memory()
    drops = nn.Sequential(ad.GaussianDropout(ad.LearnedRate(0.2)), ad.GaussianDropout(ad.LearnedRate(0.5, (4,))))
    model = Model(drops)
    fit(model, tmp_path, [LearnedRateMonitor()], logger=logger, max_epochs=1)
    (first, second) = (logger.series(f"dropout_alpha/drop_{i}") for i in (0, 1))
    assert len(first) == len(second) == 4
    rates = [rate for _, rate in ad.named_rates(model, ad.LearnedRate)]
    wanted = [rate.logit.detach().median().exp().item() for rate in rates]
    assert [first[-1][1], second[-1][1]] == pytest.approx(wanted)
    assert first[-1][1] < 0.2 / 0.8


def test_effective_rates_are_in_the_log_and_the_history(tmp_path: Path) -> None:
    logger, monitor = Memory(), DropoutRateMonitor()
    model = Model(nn.Sequential(ad.Standout(nn.Linear(4, 4), nn.ReLU()), ad.ContextualDropout(4)))
    fit(model, tmp_path, [monitor, LearnedRateMonitor()], logger=logger, max_epochs=1)
    rates = ad.get_rates(model)
    assert set(rates) == {"drop.0", "drop.1", "drop.1.base"}
    for name, p in rates.items():
        assert logger.series(f"dropout/{name.replace('.', '_')}")[-1] == (3, pytest.approx(p))
        assert monitor.history.points[-1].rates[name] == pytest.approx(p)
    assert rates["drop.0"] != 0.5


def test_sparsity_is_logged_for_sparse_layers(tmp_path: Path) -> None:
    layer = ad.SparseLinear(4, 4)
    with torch.no_grad():
        layer.weight.fill_(0.1)
        layer.weight[0] = 1e-6
    logger = Memory()
    fit(Model(layer, lr=0.0), tmp_path, [LearnedRateMonitor()], logger=logger, max_epochs=1, limit_train_batches=1)
    assert logger.series("dropout_sparsity/drop") == [(0, 0.25)]
    assert logger.series("dropout_alpha/drop")[0][1] == pytest.approx(4.54e-5 / 0.1**2, rel=0.1)


def test_a_rate_that_learns_is_left_in_peace(tmp_path: Path) -> None:
    assert told(Model(ad.GaussianDropout(ad.LearnedRate(0.3))), tmp_path) == []


def test_weight_decay_is_told_once_with_the_rate_and_the_fix(tmp_path: Path) -> None:
    (message,) = told(Model(ad.GaussianDropout(ad.LearnedRate(0.3)), weight_decay=0.01), tmp_path)
    assert "weight_decay=0.01 on the learned rates ['drop']" in message
    assert "rate_param_groups(model, lr)" in message


def test_weight_decay_is_told_once_beside_a_rate_penalty(tmp_path: Path) -> None:
    model = Model(ad.ConcreteDropout.wrap(nn.Linear(4, 4)), weight_decay=0.01)
    messages = told(model, tmp_path, callbacks=[LearnedRateMonitor(), RatePenalty()])
    assert sum("weight_decay=0.01" in message for message in messages) == 1


def test_a_rate_without_a_gradient_is_told_once(tmp_path: Path) -> None:
    (message,) = told(Model(ad.GaussianDropout(ad.LearnedRate(0.3)), used=False), tmp_path, max_epochs=3)
    assert "learned rate 'drop' got no gradient in a whole epoch" in message


@pytest.mark.parametrize(("p", "fix"), [(0.0005, "add a penalty that rewards it"), (0.9995, "let it grow from 0")])
def test_a_rate_at_its_bound_is_told_once(tmp_path: Path, p: float, fix: str) -> None:
    model = Model(ad.ConcreteDropout(ad.LearnedRate(p)))
    messages = [m for m in told(model, tmp_path, max_epochs=3) if "sits at its bound" in m]
    assert len(messages) == 1
    assert f"p = {p:g}"[:9] in messages[0]
    assert fix in messages[0]


def test_a_model_that_learns_no_rate_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no learned rate among {'drop': 'SettableRate'}"):
        fit(Model(ad.Dropout(0.3)), tmp_path, [LearnedRateMonitor()])
