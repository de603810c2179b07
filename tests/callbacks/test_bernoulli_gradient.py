"""Unbiased gradients of true masks in real Lightning runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanMetric

import adaptive_dropout as ad
from adaptive_dropout.callbacks import BernoulliGradient
from tests.callbacks.toy import Memory

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")

X = torch.linspace(-1, 2, 32).reshape(16, 2)


class Line(L.LightningModule):
    """A line through masked features; BatchNorm, a metric and a log beside it."""

    def __init__(self, norm: nn.Module | None = None, lr: float = 0.0, drop: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.drop = drop or ad.BernoulliDropout(0.4)
        self.net = nn.Sequential(norm or nn.Identity(), self.drop, nn.Linear(2, 1))
        self.metric = MeanMetric()
        self.lr = lr
        self.grads: list[Tensor] = []
        self.losses: list[Tensor] = []

    def examples(self, x: Tensor) -> Tensor:
        return (self.net(x).float()[:, 0] - 1) ** 2 + 1

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Any:
        loss = self.examples(batch[0]).mean()
        self.metric(loss.detach())
        self.log("train_loss", loss)
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        rate = self.drop.rate
        if isinstance(rate, ad.LearnedRate):
            assert rate.logit.grad is not None
            self.grads.append(rate.logit.grad.clone())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class ByExample(Line):
    def training_step(self, batch: list[Tensor], batch_idx: int) -> Any:
        losses = self.examples(batch[0])
        return {"loss": losses.mean(), "example_losses": losses, "kept": 1}


class Seeded(L.Callback):
    """Puts torch's generator at a known place where training begins, another on each rank."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        torch.manual_seed(5 + trainer.global_rank)


def fit(model: L.LightningModule, folder: Path, batch_size: int = 16, **trainer: Any) -> L.Trainer:
    settings: dict[str, Any] = {
        "max_epochs": 1, "accelerator": "cpu", "default_root_dir": folder, "enable_progress_bar": False,
        "enable_model_summary": False, "enable_checkpointing": False, "logger": False, "log_every_n_steps": 1,
        "callbacks": [BernoulliGradient()],
    }  # fmt: skip
    run = L.Trainer(**settings | trainer)
    run.fit(model, DataLoader(TensorDataset(X), batch_size=batch_size))
    return run


def by_hand(model: Line, batches: list[Tensor], seed: int, estimator: ad.Estimator) -> Tensor:
    """The mean over ``batches`` of the gradient by the logit, in plain torch."""
    torch.manual_seed(seed)
    rate = model.drop.rate
    assert isinstance(rate, ad.LearnedRate)
    losses = [estimator.loss(model.net, lambda x=x: model.examples(x).mean()) for x in batches]
    return torch.autograd.grad(torch.stack(losses).mean(), rate.logit)[0]


@pytest.mark.parametrize("estimator", [ad.ARM(), ad.DisARM()])
def test_accumulated_batches_give_the_gradient_of_plain_torch(tmp_path: Path, estimator: ad.Estimator) -> None:
    model = Line()
    torch.manual_seed(5)
    fit(model, tmp_path, 4, accumulate_grad_batches=4, callbacks=[Seeded(), BernoulliGradient(estimator)])
    (found,) = model.grads
    assert torch.allclose(found, by_hand(Line(), list(X.split(4)), 5, estimator))


def test_clipping_sees_the_whole_gradient(tmp_path: Path) -> None:
    free, clipped = Line(), Line(lr=1.0)
    start = clipped.drop.rate.logit.item()
    fit(free, tmp_path, callbacks=[Seeded(), BernoulliGradient()])
    fit(clipped, tmp_path, callbacks=[Seeded(), BernoulliGradient()], gradient_clip_val=1e-3)
    assert clipped.grads[0] == free.grads[0]
    assert 0 < abs(clipped.drop.rate.logit.item() - start) <= 1.001e-3


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_every_precision_trains_weights_and_rate(tmp_path: Path, precision: Any) -> None:
    model = Line(lr=0.1)
    start = [w.detach().clone() for w in model.parameters()]
    fit(model, tmp_path, precision=precision)
    for before, after in zip(start, model.parameters(), strict=True):
        assert not torch.equal(before.to(after.dtype), after)
    assert model.drop.rate.logit.dtype == torch.float32


def test_a_run_beside_it_is_the_run_without_it_but_for_the_rate(tmp_path: Path) -> None:
    runs = []
    for drop, callbacks in ((ad.BernoulliDropout(0.4), [BernoulliGradient()]), (settled(0.4), [])):
        model, logger = Line(nn.BatchNorm1d(2), drop=drop), Memory()
        fit(model, tmp_path, 4, logger=logger, callbacks=[Seeded(), *callbacks])
        runs.append((model, logger, torch.rand(1)))
    (model, logger, drawn), (plain, plain_logger, plain_drawn) = runs
    assert torch.allclose(
        torch.tensor(logger.series("train_loss")), torch.tensor(plain_logger.series("train_loss"))
    )  # each once, of the same value
    assert len(logger.series("train_loss")) == 4
    assert drawn == plain_drawn
    assert model.metric.update_count == plain.metric.update_count == 4
    assert model.net[0].num_batches_tracked == 4
    assert torch.equal(model.net[0].running_mean, plain.net[0].running_mean)


def settled(p: float) -> ad.BernoulliDropout:
    return ad.BernoulliDropout(ad.SettableRate(ad.LearnedRate(p).p))


def test_losses_of_examples_give_a_gradient_that_varies_less(tmp_path: Path) -> None:
    spread = []
    for kind in (Line, ByExample):
        model = kind()
        fit(model, tmp_path, max_epochs=60)
        spread.append(torch.stack(model.grads).var())
    assert spread[1] < 0.25 * spread[0]  # 1 / 16 of the masks' part


def test_the_step_is_its_own_again_after_the_run_and_after_an_exception(tmp_path: Path) -> None:
    model = Line()
    fit(model, tmp_path)
    assert "training_step" not in vars(model)
    assert not model.drop.estimated
    model.metric = None
    with pytest.raises(TypeError):
        fit(model, tmp_path)
    assert "training_step" not in vars(model)
    assert not model.drop.estimated


def test_a_run_without_the_callback_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"the callback BernoulliGradient\(\)"):
        fit(Line(), tmp_path, callbacks=[])


def test_a_model_without_such_a_layer_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Line has no BernoulliDropout with a learned p"):
        fit(Line(drop=ad.GaussianDropout(0.2)), tmp_path)


def test_manual_optimization_is_told_what_to_do(tmp_path: Path) -> None:
    model = Line()
    model.automatic_optimization = False
    with pytest.raises(ValueError, match=r"optimizes manually.*DisARM\(\)\.loss\(self, loss_fn\)"):
        fit(model, tmp_path)


def test_a_step_without_a_loss_is_told(tmp_path: Path) -> None:
    model = Line()
    model.training_step = lambda batch, batch_idx: None  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"training_step has to return its loss, a tensor, .* but returned None"):
        fit(model, tmp_path)
    assert model.training_step(None, 0) is None


class Told(L.Callback):
    """Writes down the gradients that each rank steps with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Line)
        torch.save(torch.stack(pl_module.grads), self.folder / f"{trainer.global_rank}.pt")


def test_ranks_average_the_gradient(tmp_path: Path) -> None:
    fit(
        Line(), tmp_path, 4, strategy="ddp_fork", devices=2, use_distributed_sampler=False,
        callbacks=[Seeded(), BernoulliGradient(), Told(tmp_path)],
    )  # fmt: skip
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert torch.equal(*ranks)
    alone = [by_hand(Line(), [X[:4]], 5 + rank, ad.DisARM()) for rank in (0, 1)]
    assert torch.allclose(ranks[0][0], torch.stack(alone).mean(0))
    assert not torch.allclose(*alone)
