from __future__ import annotations

import functools
import math
from pathlib import Path

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import RatePenalty
from adaptive_dropout.data import Digits
from adaptive_dropout.networks import CNN, MLP
from adaptive_dropout.tasks import Classifier, Regressor, Task

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


def trainer(folder: Path, **settings: object) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,  # type: ignore[arg-type]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "network", [MLP(64, 10), CNN(1, 10, image_size=8, dropout=lambda: ad.Dropout(0.2))], ids=["mlp", "cnn"]
)
def test_a_classifier_learns_real_digits(network: nn.Module, tmp_path: Path) -> None:
    task, data = Classifier(network, 10, functools.partial(torch.optim.Adam, lr=0.005)), Digits()
    run = trainer(tmp_path, max_epochs=10)
    run.fit(task, data)
    (metrics,) = run.test(task, data, verbose=False)
    assert set(metrics) == {"test_loss", "test_accuracy", "test_calibration_error"}
    assert metrics["test_accuracy"] > 0.85  # 0.1 by guessing
    assert metrics["test_loss"] < 0.6  # 2.3 by guessing


def test_classifier_metrics_are_those_of_the_whole_set(tmp_path: Path) -> None:
    logits = torch.randn(100, 3, generator=torch.Generator().manual_seed(1))
    y = torch.arange(100) % 3
    task = Classifier(nn.Identity(), 3)
    (metrics,) = trainer(tmp_path).validate(task, DataLoader(TensorDataset(logits, y), batch_size=33), verbose=False)
    assert metrics["val_loss"] == pytest.approx(nn.functional.cross_entropy(logits, y).item(), rel=1e-5)
    assert metrics["val_accuracy"] == pytest.approx((logits.argmax(1) == y).float().mean().item())
    confidence, right = logits.softmax(1).max(1).values, (logits.argmax(1) == y).float()
    bins = (confidence * 15).ceil().long()
    gaps = [((right - confidence)[bins == b]).sum().abs().item() for b in range(1, 16)]
    assert metrics["val_calibration_error"] == pytest.approx(sum(gaps) / 100, rel=1e-4)


def test_regressor_loss_is_the_gaussian_likelihood() -> None:
    output, y = torch.tensor([[1.0, 0.5], [2.0, -1.0]]), torch.tensor([0.0, 2.5])
    ours = Regressor(nn.Identity()).loss(output, y)
    torchs = nn.GaussianNLLLoss(full=True)(output[:, 0], y, output[:, 1].exp())
    assert ours.item() == pytest.approx(torchs.item())


@pytest.mark.slow
def test_regressor_learns_mean_and_noise(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(512, 1, generator=generator)
    y = 2 * x[:, 0] + 0.5 * torch.randn(512, generator=generator)
    loader = DataLoader(TensorDataset(x, y), batch_size=64)
    task = Regressor(MLP(1, 2, (16,), lambda: ad.Dropout(0.0)), functools.partial(torch.optim.Adam, lr=0.02))
    run = trainer(tmp_path, max_epochs=30)
    run.fit(task, loader, loader)
    (metrics,) = run.test(task, loader, verbose=False)
    assert metrics["test_rmse"] == pytest.approx(0.5, abs=0.06)
    assert metrics["test_loss"] == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 0.25), abs=0.1)


def test_a_network_of_the_wrong_width_is_told() -> None:
    with pytest.raises(ValueError, match=r"takes outputs \(batch, 2\).*but got \(4, 1\) and \(4,\)"):
        Regressor(nn.Identity()).loss(torch.ones(4, 1), torch.ones(4))


def test_learned_rates_get_a_group_of_their_own() -> None:
    network = MLP(64, 10, (8,), lambda: ad.ConcreteDropout(0.1))
    task = Classifier(network, 10, functools.partial(torch.optim.AdamW, lr=0.01, weight_decay=0.5))
    weights, logits = task.configure_optimizers().param_groups
    assert (weights["lr"], weights["weight_decay"]) == (0.01, 0.5)
    assert (logits["lr"], logits["weight_decay"]) == (pytest.approx(0.1), 0.0)
    assert logits["params"] == [network.dropout1.rate.logit]


def test_schedules_are_driven_without_asking(tmp_path: Path) -> None:
    task = Classifier(MLP(64, 10, (8,), lambda: ad.Dropout(ad.LinearSchedule(0.5, 0.0))), 10)
    run = trainer(tmp_path, max_epochs=2)
    run.fit(task, Digits(n_train=128))
    assert task.network.dropout1.p == pytest.approx(0.5 / 4)


def test_the_learning_rate_scheduler_is_used(tmp_path: Path) -> None:
    task = Classifier(
        MLP(64, 10, (8,)), 10, lr_scheduler=functools.partial(torch.optim.lr_scheduler.StepLR, step_size=1)
    )
    run = trainer(tmp_path, max_epochs=2)
    run.fit(task, Digits(n_train=128))
    assert run.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-5)


@pytest.mark.parametrize("pairs", [True, False])
def test_predictions_are_probabilities(pairs: bool, tmp_path: Path) -> None:
    x = torch.rand(10, 64)
    batches: list[object] = [(x, torch.zeros(10))] if pairs else [x]
    (p,) = trainer(tmp_path).predict(Classifier(MLP(64, 3), 3), DataLoader(batches, batch_size=None))  # type: ignore[arg-type, misc]
    assert isinstance(p, Tensor)
    assert torch.allclose(p.sum(1), torch.ones(10))


def test_a_task_is_a_loss_and_metrics() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Task(nn.Identity())  # type: ignore[abstract]


def penalised() -> Classifier:
    network = nn.Sequential(nn.Flatten(), ad.ConcreteDropout.wrap(nn.Linear(64, 10), length_scale=1e-2))
    return Classifier(network, 10, functools.partial(torch.optim.Adam, lr=1e-7))  # the weights stay


def test_the_penalty_of_learned_noise_is_added_without_asking(tmp_path: Path) -> None:
    task, run = penalised(), trainer(tmp_path, max_epochs=2)
    run.fit(task, Digits(n_train=128))
    assert sum(isinstance(callback, RatePenalty) for callback in run.callbacks) == 1  # type: ignore[attr-defined]
    assert run.callback_metrics["penalty"].item() == pytest.approx(ad.penalty(task, 128).item(), rel=1e-4)
    run.validate(task, Digits(n_train=128), verbose=False)
    assert sum(isinstance(callback, RatePenalty) for callback in run.callbacks) == 1  # type: ignore[attr-defined]


def test_a_penalty_that_the_trainer_holds_is_kept(tmp_path: Path) -> None:
    own = RatePenalty(n=7)
    run = trainer(tmp_path, max_epochs=1, callbacks=[own])
    run.fit(penalised(), Digits(n_train=128))
    assert [callback for callback in run.callbacks if isinstance(callback, RatePenalty)] == [own]  # type: ignore[attr-defined]
