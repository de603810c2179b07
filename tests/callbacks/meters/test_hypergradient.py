"""The hypergradient, measured while a real run trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import fit
from tests.callbacks.test_gradient_meters import Listener, log_of, weights
from tests.callbacks.toy import Memory
from tests.signals.test_hypergradient_models import Once

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
]


@pytest.mark.slow
def test_a_run_that_measures_the_hypergradient_is_that_which_does_not_to_the_last_bit(tmp_path: Path) -> None:
    found, rows = [], []
    for asks in ((), ("hypergradient",)):
        torch.manual_seed(3)
        hidden = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), ad.Dropout(0.3), nn.Linear(8, 10))
        model, logger = Classifier(hidden, 10), Memory()
        control = DropoutRateControl(Listener(asks))
        fit(model, tmp_path, [control], logger=logger, log_every_n_steps=1)
        found.append(torch.cat([weights(model), hidden[2].running_var, hidden[2].num_batches_tracked[None]]))
        rows.append([(step, {key: row[key] for key in row if "hypergradient" not in key}) for step, row in logger.rows])
    assert torch.equal(*found)
    assert rows[0] == rows[1]
    measured = [signals["hypergradient/network.3"] for signals in log_of(control)]
    assert len({*measured}) == 5


class Squared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Once.apply(x)


def test_what_cannot_be_differentiated_twice_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), ad.Dropout(0.3), Squared(), nn.Linear(8, 10))
    model = Classifier(network, 10)
    before = weights(model)
    with pytest.raises(RuntimeError, match=r"\(Once is marked with @once_differentiable\); ResponseController needs"):
        fit(model, tmp_path, [DropoutRateControl(ad.HypergradientController())])
    assert torch.equal(weights(model), before)
    assert model.trainer.global_step == 0
    fit(model, tmp_path, [DropoutRateControl(ad.ResponseController())])
    assert not torch.equal(weights(model), before)
