"""`MCDropoutPredictor` gives the trainer's predict and test the mean prediction and its uncertainty."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import MCDropoutPredictor
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier, Regressor
from tests.inference.models import loop

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


class Mine(L.LightningModule):
    """A module of a user's own, whose steps call its network, with BatchNorm in it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("test_loss", F.cross_entropy(self.net(x), y))

    def predict_step(self, batch: Any) -> Tensor:
        return self.net(batch[0]).softmax(-1)


def loader(targets: Tensor) -> DataLoader[Any]:
    torch.manual_seed(1)
    return DataLoader(TensorDataset(torch.randn(len(targets), 4), targets), batch_size=8)


def trainer(callback: MCDropoutPredictor) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, callbacks=[callback]
    )


LABELS = torch.tensor([0, 1, 2, 1] * 5)


def test_predictions_of_any_module_come_with_uncertainty() -> None:
    model, data = Mine(), loader(LABELS)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    batches = trainer(MCDropoutPredictor(30, uncertainty=ad.class_uncertainty, network="net")).predict(model, data)
    assert [set(batch) for batch in batches] == [{"prediction", "entropy", "mutual_information"}] * 3
    assert [len(batch["entropy"]) for batch in batches] == [8, 8, 4]
    for batch in batches:
        torch.testing.assert_close(batch["prediction"].sum(1), torch.ones(len(batch["prediction"])))
        assert (batch["mutual_information"] > 0).all()
        torch.testing.assert_close(torch.special.entr(batch["prediction"]).sum(1), batch["entropy"])
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert "forward" not in vars(model.net)
    assert "predict_step" not in vars(model)


@pytest.mark.slow
def test_the_test_loss_is_that_of_the_mean_prediction() -> None:
    model, data = Mine(), loader(LABELS)
    (metrics,) = trainer(MCDropoutPredictor(400, uncertainty=ad.class_uncertainty, network="net")).test(
        model, data, verbose=False
    )
    x, y = data.dataset.tensors
    probabilities = loop(model.net, x, 4000).softmax(-1)
    losses = -probabilities.mean(0)[torch.arange(len(y)), y].log()
    # The error of a mean of logarithms of means, to first order, at 400 and 4000 samples.
    relative = probabilities.var(0)[torch.arange(len(y)), y].sqrt() / probabilities.mean(0)[torch.arange(len(y)), y]
    error = (relative.square().sum() * (1 / 400 + 1 / 4000)).sqrt() / len(y)
    assert abs(metrics["test_loss"] - losses.mean()) < 5 * error + 0.5 * relative.square().mean() / 400
    doubt = ad.mutual_information(probabilities).mean().item()
    assert metrics["test_mutual_information"] == pytest.approx(doubt, rel=0.1)
    assert 0 < metrics["test_mutual_information"] < metrics["test_entropy"]


@pytest.mark.parametrize(
    ("task", "uncertainty", "names"),
    [
        (lambda: Classifier(MLP(4, 3), num_classes=3), ad.class_uncertainty, {"entropy", "mutual_information"}),
        (lambda: Regressor(MLP(4, 2)), ad.gaussian_uncertainty, {"aleatoric", "epistemic"}),
        (lambda: Regressor(MLP(4, 2)), ad.output_uncertainty, {"std"}),
    ],
)
def test_our_tasks_are_tested_and_predicted(task: Any, uncertainty: Any, names: set[str]) -> None:
    model = task()
    data = loader(LABELS if isinstance(model, Classifier) else torch.randn(20))
    runner = trainer(MCDropoutPredictor(10, chunk=4, uncertainty=uncertainty))
    (metrics,) = runner.test(model, data, verbose=False)
    assert {f"test_{name}" for name in names} < set(metrics)
    (first, *_) = runner.predict(model, data)
    assert set(first) == {"prediction"} | names


def test_a_step_that_does_not_call_the_network_is_told_of_and_the_module_is_left_as_it_was() -> None:
    model = Mine()
    with pytest.raises(ValueError, match=r"predict_step of Mine does not call self\(...\)"):
        trainer(MCDropoutPredictor(5)).predict(model, loader(LABELS))
    assert "forward" not in vars(model)
    assert "predict_step" not in vars(model)


def test_counts_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="samples has to be at least 1, but got 0"):
        MCDropoutPredictor(0)
    with pytest.raises(ValueError, match="chunk has to be at least 1, but got 0"):
        MCDropoutPredictor(chunk=0)
