"""R-Drop and multi-sample dropout in real Lightning runs: the gradient, and what differs between passes."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanMetric

import adaptive_dropout as ad
from adaptive_dropout.callbacks import BernoulliGradient, MultiSampleDropout, RDrop
from adaptive_dropout.functional import symmetric_bernoulli_kl, symmetric_kl
from tests.callbacks.toy import Memory

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
Y = torch.arange(8) % 3
PASSES: list[Any] = []
"""What each pass of each step has made. Not the module's: that would be put back."""


class Mine(L.LightningModule):
    """A module of a user's own, which counts, keeps, logs, and computes with what its metric answers."""

    def __init__(self, noise: Callable[[], nn.Module] = lambda: nn.Dropout(0.5)) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.trunk = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), noise())
        self.head = nn.Sequential(noise(), nn.Linear(16, 3))
        self.metric = MeanMetric()
        self.kept: list[float] = []
        self.steps = 0
        self.grads: list[dict[str, Tensor]] = []

    def logits(self, x: Tensor) -> Tensor:
        PASSES.append(self.head(self.trunk(x)))
        return PASSES[-1]  # type: ignore[no-any-return]

    def loss(self, batch: list[Tensor]) -> Tensor:
        return F.cross_entropy(self.logits(batch[0]), batch[1])

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Any:
        loss = self.loss(batch)
        self.steps += 1
        self.kept.append(loss.item())
        self.log("train_loss", loss + 0 * self.metric(loss.detach()))
        return loss

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.grads.append({name: w.grad.clone() for name, w in self.named_parameters() if w.grad is not None})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(model: L.LightningModule, folder: Path, *callbacks: L.Callback, y: Tensor = Y, **trainer: Any) -> None:
    PASSES.clear()
    settings: dict[str, Any] = {
        "max_epochs": 1, "accelerator": "cpu", "default_root_dir": folder, "enable_progress_bar": False,
        "enable_model_summary": False, "enable_checkpointing": False, "logger": False, "log_every_n_steps": 1,
    }  # fmt: skip
    run = L.Trainer(callbacks=list(callbacks), **settings | trainer)
    L.seed_everything(5, verbose=False)
    run.fit(model, DataLoader(TensorDataset(X, y), batch_size=8))


def check_gradient(model: Mine, loss: Tensor) -> None:
    weights = dict(model.named_parameters())
    expected = torch.autograd.grad(loss, list(weights.values()), retain_graph=True)
    torch.testing.assert_close(model.grads[0], dict(zip(weights, expected, strict=True)))


class Graphs(Mine):
    """Keeps the graphs of its passes, and the weights that they hold, past the step."""

    def backward(self, loss: Tensor) -> None:
        loss.backward(retain_graph=True)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, closure: Any = None) -> None:
        closure()
        self.on_before_optimizer_step(optimizer)


@pytest.mark.parametrize("noise", [lambda: nn.Dropout(0.5), lambda: ad.Dropout(0.5)])
def test_r_drop_s_gradient_is_that_of_its_formula(noise: Callable[[], nn.Module], tmp_path: Path) -> None:
    model, logger = Graphs(noise), Memory()
    fit(model, tmp_path, RDrop(alpha=2.0), logger=logger)
    first, second = PASSES
    losses = [F.cross_entropy(each, Y) for each in PASSES]
    divergence = symmetric_kl(first, second)
    assert divergence > 0.01
    check_gradient(model, sum(losses) / 2 + 2.0 * divergence)
    assert logger.series("train_loss") == [(0, pytest.approx(losses[0].item()))]
    assert logger.series("r_drop_divergence") == [(0, pytest.approx(divergence.item()))]
    assert (model.steps, len(model.kept), model.metric.update_count) == (1, 1, 1)
    assert "training_step" not in vars(model)
    assert all("forward" not in vars(part) for part in model.modules())


@pytest.mark.parametrize("trunk", [None, "trunk"])
def test_multi_sample_s_gradient_is_the_mean_s_and_a_trunk_runs_once(trunk: str | None, tmp_path: Path) -> None:
    model, ran = Graphs(), []
    forward = model.trunk[0].forward
    model.trunk[0].forward = lambda x: ran.append(1) or forward(x)  # type: ignore[method-assign, func-returns-value]
    fit(model, tmp_path, MultiSampleDropout(4, trunk=trunk))
    losses = [F.cross_entropy(each, Y) for each in PASSES]
    assert len(losses) == 4
    assert len({round(loss.item(), 6) for loss in losses}) == 4
    check_gradient(model, torch.stack(losses).mean())
    assert len(ran) == (4 if trunk is None else 1)
    assert (model.steps, model.metric.update_count) == (1, 1)


def test_what_a_step_draws_itself_is_the_same_in_both_passes_and_the_run_goes_on_as_without(tmp_path: Path) -> None:
    class Draws(Mine):
        def logits(self, x: Tensor) -> Tensor:
            x[torch.rand(x.shape) < 0.15] = 0  # into the batch itself
            share = np.random.beta(1, 1) + random.random()
            before = share * x + torch.randn_like(x)
            made = super().logits(before)
            PASSES[-1] = made, before.clone(), torch.rand(3)
            return made

    drawn = []
    for callbacks in ([RDrop()], []):
        fit(Draws(), tmp_path, *callbacks)
        drawn.append((PASSES[0], torch.rand(2), np.random.rand(), random.random()))
        if callbacks:
            (first, x, after), (second, x_again, after_again) = PASSES
            assert torch.equal(x, x_again)
            assert torch.equal(after, after_again)
            assert not torch.equal(first, second)
    (with_it, *state), (without, *state_without) = drawn
    assert all(torch.equal(one, other) for one, other in zip(with_it, without, strict=True))
    assert torch.equal(state[0], state_without[0])
    assert state[1:] == state_without[1:]


def test_a_network_inside_of_another_draws_anew_however_the_step_calls_it(tmp_path: Path) -> None:
    class Deep(Mine):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.ModuleDict({"inner": nn.ModuleList([self.trunk])})

        def logits(self, x: Tensor) -> Tensor:
            for layer in self.net["inner"][0]:
                x = layer(x)
            PASSES.append(x)
            return self.head(x)

    fit(Deep(), tmp_path, RDrop())
    assert not torch.equal(*PASSES)


def test_targets_that_the_loss_ignores_do_not_count(tmp_path: Path) -> None:
    y = Y.clone()
    y[3:] = -100
    model = Graphs()
    fit(model, tmp_path, RDrop(alpha=3.0), y=y)
    losses = [F.cross_entropy(each, y) for each in PASSES]
    check_gradient(model, sum(losses) / 2 + 3.0 * symmetric_kl(PASSES[0][:3], PASSES[1][:3]))


def soft(logits: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(logits, F.one_hot(y, 3).float() * 0.9 + 0.1 / 3)


LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "nll": (lambda x, y: F.nll_loss(x.log_softmax(-1), y), symmetric_kl),
    "module": (lambda x, y: nn.CrossEntropyLoss(label_smoothing=0.1)(input=x, target=y), symmetric_kl),
    "soft": (soft, symmetric_kl),
    "pixels": (
        lambda x, y: F.cross_entropy(x.T[None], y[None]),
        symmetric_kl,
    ),
    "binary": (
        lambda x, y: F.binary_cross_entropy_with_logits(x[:, 0], (y > 0).float()),
        lambda a, b: symmetric_bernoulli_kl(a[:, 0], b[:, 0]),
    ),
    "regression": (lambda x, y: F.mse_loss(x[:, 0], y.float()), lambda a, b: (a[:, 0] - b[:, 0]).square().mean()),
    "two": (
        lambda x, y: F.cross_entropy(x, y) + F.cross_entropy(x[:4], y[:4]),
        lambda a, b: symmetric_kl(a, b) + symmetric_kl(a[:4], b[:4]),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_divergence_is_that_of_the_loss(name: str, tmp_path: Path) -> None:
    loss_of, divergence_of = LOSSES[name]

    class Other(Graphs):
        def loss(self, batch: list[Tensor]) -> Tensor:
            with torch.no_grad():
                F.cross_entropy(torch.zeros(1, 3), Y[:1])  # a measurement, not a loss
            return loss_of(self.logits(batch[0]), batch[1])

    model = Other()
    fit(model, tmp_path, RDrop(alpha=1.5))
    losses = [loss_of(each, Y) for each in PASSES]
    check_gradient(model, sum(losses) / 2 + 1.5 * divergence_of(*PASSES))


class ByHand(Graphs):
    """Its loss calls nothing of torch's that is known."""

    def loss(self, batch: list[Tensor]) -> Tensor:
        return -(self.logits(batch[0]).log_softmax(-1)[torch.arange(8), batch[1]]).mean()


def test_a_named_submodule_gives_the_logits(tmp_path: Path) -> None:
    for callback, divergence_of in (
        (RDrop(logits="head"), symmetric_kl),
        (RDrop(logits="head", divergence=F.mse_loss), F.mse_loss),
    ):
        model = ByHand()
        fit(model, tmp_path, callback)
        losses = [-(each.log_softmax(-1)[torch.arange(8), Y]).mean() for each in PASSES]
        check_gradient(model, sum(losses) / 2 + divergence_of(*PASSES))


def test_where_nothing_predicts_it_is_said_once_and_steps_run_once(tmp_path: Path) -> None:
    for callback, line in (
        (RDrop(), "found no logits: training_step of ByHand"),
        (RDrop(logits="metric"), "no logits"),
    ):
        with pytest.warns(UserWarning, match=line) as told:
            fit(ByHand(), tmp_path, callback, max_epochs=3)
        assert len([one for one in told if "logits" in str(one.message)]) == 1
        assert len(PASSES) == 3


def test_a_model_in_which_nothing_drops_is_told_once(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="both passes of RDrop predict the same: no dropout of Mine is on") as told:
        fit(Mine(nn.Identity), tmp_path, RDrop(), max_epochs=3)
    assert len([one for one in told if "predict the same" in str(one.message)]) == 1


def test_a_step_that_cannot_run_again_is_told_once_and_runs_once(tmp_path: Path) -> None:
    class Writes(Mine):
        def loss(self, batch: list[Tensor]) -> Tensor:
            with (tmp_path / "users.txt").open("a") as file:
                file.write("x")
            return super().loss(batch)

    class Pops(Mine):
        def loss(self, batch: list[Tensor]) -> Tensor:
            stream.pop()
            return super().loss(batch)

    stream: list[int] = []
    for kind, line in ((Writes, "it opens"), (Pops, "IndexError")):
        for callback in (RDrop(), MultiSampleDropout()):
            stream[:] = [1]
            with pytest.warns(UserWarning, match=f"cannot repeat training_step of {kind.__name__}.*{line}"):
                fit(kind(), tmp_path, callback)
            assert len(PASSES) == 1
    assert (tmp_path / "users.txt").read_text() == "xx"


@pytest.mark.filterwarnings("ignore:.training_step. returned .None.")
def test_a_step_that_skips_its_batch_skips_it(tmp_path: Path) -> None:
    class Skips(Mine):
        def training_step(self, batch: list[Tensor], batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            return None if self.current_epoch == 0 else {"loss": loss, "kept": 1}

    for callback, runs in ((RDrop(), 2), (MultiSampleDropout(2), 2)):
        model = Skips()
        fit(model, tmp_path, callback, max_epochs=2)
        assert len(PASSES) == 1 + runs
        assert model.steps == 2


class Manual(Mine):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False


def test_what_cannot_work_is_told_before_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="alpha has to be 0 or more, and finite, but got -1"):
        RDrop(-1.0)
    with pytest.raises(ValueError, match=r"name it, as in RDrop\(logits='net'\)"):
        RDrop(divergence=F.mse_loss)
    with pytest.raises(ValueError, match="samples has to be at least 2, but got 1"):
        MultiSampleDropout(1)
    with pytest.raises(ValueError, match="Manual optimizes manually"):
        fit(Manual(), tmp_path, RDrop())
    with pytest.raises(AttributeError, match="nothing"):
        fit(Mine(), tmp_path, RDrop(logits="nothing"))
    with pytest.raises(AttributeError, match="nothing"):
        fit(Mine(), tmp_path, MultiSampleDropout(trunk="nothing"))
    for other in (BernoulliGradient(), MultiSampleDropout()):
        with pytest.raises(ValueError, match=r"\['RDrop', '.*'\] each repeat the training step; keep one"):
            fit(Mine(), tmp_path, RDrop(), other)


@pytest.mark.parametrize("settings", [{"precision": "bf16-mixed"}, {"accumulate_grad_batches": 2, "max_epochs": 2}])
def test_precisions_and_accumulation_work(settings: dict[str, Any], tmp_path: Path) -> None:
    model = Mine()
    fit(model, tmp_path, RDrop(), **settings)
    assert len(PASSES) == 2 * settings.get("max_epochs", 1)
    assert all(grad.isfinite().all() and grad.any() for grads in model.grads for grad in grads.values())


class Told(L.Callback):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Mine)
        torch.save(pl_module.grads[0], self.folder / f"{trainer.global_rank}.pt")


@pytest.mark.slow
def test_two_processes_step_with_the_same_gradient(tmp_path: Path) -> None:
    fit(Mine(), tmp_path, RDrop(), Told(tmp_path), strategy="ddp_fork", devices=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert ranks[0].keys() == ranks[1].keys()
    assert all(torch.equal(grad, ranks[1][name]) for name, grad in ranks[0].items())
