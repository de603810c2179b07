"""What is added to the gradient before each optimizer step, in runs of every kind; the data's loss has no gradient."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import L1Penalty, L2Penalty, RatePenalty
from tests.callbacks.toy import Memory, fit, loader

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


class Quiet(L.LightningModule):
    """A loss of 7 whatever the weights are, so that each gradient is the penalty's."""

    def __init__(self, penalised: bool = True, **optimizer: Any) -> None:
        super().__init__()
        layer = nn.Linear(1, 1, bias=False)
        nn.init.ones_(layer.weight)
        self.net = ad.ConcreteDropout.wrap(layer, 0.25, length_scale=2.0) if penalised else layer
        self.make = functools.partial(torch.optim.SGD, **{"lr": 0.01} | optimizer)
        self.gradients: list[list[float]] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = 7 + 0 * self.net(batch).float().sum()
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None: ...

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.gradients.append([float(w.grad) for w in self.parameters()])

    def configure_optimizers(self) -> Any:
        return self.make(self.parameters())


def expected(n: int, weight: float = 1.0, p: float = 0.25) -> tuple[float, float]:
    """The derivatives by weight and logit of (2 w^2 / (1 - p) - H(p)) / n."""
    by_p = 2 * weight**2 / (1 - p) ** 2 + math.log(p / (1 - p))
    return 4 * weight / (1 - p) / n, by_p * p * (1 - p) / n


def gradients(model: Quiet, which: int = 0) -> Any:
    """By weight and logit, whose order among the parameters is the other one."""
    return pytest.approx(tuple(reversed(model.gradients[which])), rel=1e-5)


def test_the_gradient_is_the_penaltys_and_the_loss_the_datas(tmp_path: Path) -> None:
    logger, model = Memory(), Quiet()
    fit(model, tmp_path, [RatePenalty()], max_epochs=1, logger=logger)
    assert expected(4) == gradients(model)
    assert [loss for _, loss in logger.series("train_loss")] == [7.0] * 4
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert logger.series("penalty")[0] == (0, pytest.approx((2 / 0.75 - entropy) / 4))
    assert model.gradients[0] != model.gradients[1], "no step was made with it"


def test_the_number_of_examples_can_be_given(tmp_path: Path) -> None:
    model = Quiet()
    fit(model, tmp_path, [RatePenalty(n=1000)], max_epochs=1)
    assert expected(1000) == gradients(model)


def test_accumulated_batches_get_it_once(tmp_path: Path) -> None:
    model = Quiet()
    fit(model, tmp_path, [RatePenalty()], max_epochs=1, accumulate_grad_batches=4)
    assert len(model.gradients) == 1
    assert expected(4) == gradients(model)


def test_clipping_comes_afterwards(tmp_path: Path) -> None:
    model = Quiet(lr=1.0)
    fit(model, tmp_path, [RatePenalty()], max_steps=1, max_epochs=-1, gradient_clip_val=1e-3)
    moved = [1 - model.net.layer.weight.item(), math.log(1 / 3) - model.net.dropout.rate.logit.item()]
    assert math.hypot(*moved) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("fused", [False, True])
def test_float16_adds_it_at_the_scale_of_the_gradients(fused: bool, tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    model = Quiet(lr=1.0, fused=fused)
    precision = MixedPrecision("16-mixed", "cpu", scaler)
    fit(model, tmp_path, [RatePenalty()], max_steps=1, max_epochs=-1, plugins=[precision])
    by_weight, by_logit = expected(4)
    assert model.net.layer.weight.item() == pytest.approx(1 - by_weight, rel=1e-5)
    assert model.net.dropout.rate.logit.item() == pytest.approx(math.log(1 / 3) - by_logit, rel=1e-5)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_every_precision_has_the_gradient(precision: str, tmp_path: Path) -> None:
    model = Quiet()
    fit(model, tmp_path, [RatePenalty()], max_steps=1, max_epochs=-1, precision=precision)
    assert tuple(reversed(model.gradients[0])) == pytest.approx(expected(4), rel=4e-3)


class ByHand(Quiet):
    """Two optimizers, of the logit and of the weight, each stepped once a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:  # type: ignore[override]
        loss = super().training_step(batch, batch_idx)
        for optimizer in self.optimizers():  # type: ignore[union-attr]
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():  # type: ignore[union-attr]
            optimizer.step()
        return loss

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD([w], lr=1e-9) for w in self.parameters()]


def test_under_manual_optimization_each_optimizer_gets_its_own(tmp_path: Path) -> None:
    model = ByHand()
    fit(model, tmp_path, [RatePenalty()], max_epochs=1)
    assert len(model.gradients) == 8
    assert expected(4) == gradients(model, 1)
    assert expected(4) == gradients(model, 7)


class TwoRanks(Quiet):
    """Writes down the first gradient of each process."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_train_end(self) -> None:
        (self.folder / f"rank{self.global_rank}").write_text(repr(self.gradients))


def test_two_processes_add_it_once_and_for_all_examples(tmp_path: Path) -> None:
    fit(TwoRanks(tmp_path), tmp_path, [RatePenalty()], strategy="ddp_fork", devices=2, max_epochs=1)
    first, second = (eval((tmp_path / f"rank{rank}").read_text()) for rank in (0, 1))
    assert first == second
    assert tuple(reversed(first[0])) == pytest.approx(expected(4), rel=1e-5)


def test_the_warm_up_is_a_factor_of_each_step(tmp_path: Path) -> None:
    model = Quiet(lr=1e-9)
    fit(model, tmp_path, [RatePenalty(warm_up=ad.LinearSchedule(0.0, 1.0, steps=0.5))], max_epochs=2)
    factors = [pair[1] / expected(4)[0] for pair in model.gradients]
    assert factors == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 1, 1], abs=1e-5)


class Manual(Quiet):
    """Both parameters have an optimizer of their own, and both step on each batch."""

    def __init__(self) -> None:
        super().__init__(lr=1e-9)
        self.automatic_optimization = False

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
        return loss.detach()

    def configure_optimizers(self) -> Any:
        return [self.make([weight]) for weight in self.parameters()]


@pytest.mark.parametrize("length", [{"max_epochs": 2}, {"max_steps": 16, "max_epochs": -1}])
def test_the_warm_up_of_a_run_of_two_optimizers_counts_its_batches(tmp_path: Path, length: dict[str, int]) -> None:
    model = Manual()
    fit(model, tmp_path, [RatePenalty(warm_up=ad.LinearSchedule(0.0, 1.0, steps=0.5))], **length)
    factors = [row[1] / expected(4)[0] for row in model.gradients[1::2]]  # both have their gradient by then
    assert factors == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 1, 1], abs=1e-5)


def test_a_warm_up_over_a_fraction_of_an_endless_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of warm_up is a fraction of a run without an end; give its horizon in"):
        fit(Quiet(), tmp_path, [RatePenalty(warm_up=ad.LinearSchedule(0.0, 1.0))], max_epochs=-1)


class Stream(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        return iter([torch.ones(1)] * 4)


def test_data_without_a_length_needs_n(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"accelerator": "cpu", "max_epochs": 1, "logger": False, "default_root_dir": tmp_path}
    quiet = dict.fromkeys(["enable_progress_bar", "enable_model_summary", "enable_checkpointing"], False)
    with pytest.raises(ValueError, match=r"Stream, does not say how many examples it has; give RatePenalty\(n=...\)"):
        L.Trainer(callbacks=[RatePenalty()], **settings, **quiet).fit(Quiet(), DataLoader(Stream()), loader(1))
    model = Quiet()
    L.Trainer(callbacks=[RatePenalty(n=4)], **settings, **quiet).fit(model, DataLoader(Stream()), loader(1))
    assert expected(4) == gradients(model)


def test_bad_settings_are_told() -> None:
    with pytest.raises(ValueError, match="n has to be at least 1, but got 0"):
        RatePenalty(n=0)
    with pytest.raises(TypeError, match=r"warm_up has to be a schedule.*but got 0\.5"):
        RatePenalty(warm_up=0.5)  # type: ignore[arg-type]
    for penalty in (L1Penalty, L2Penalty):
        for strength in (0.0, -1.0, math.inf, math.nan):
            with pytest.raises(ValueError, match="strength has to be above 0 and finite, but got"):
                penalty(strength)


def test_a_model_without_learned_noise_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Quiet has no module with a divergence"):
        fit(Quiet(penalised=False), tmp_path, [RatePenalty()])


def test_weight_decay_of_a_rate_is_warned_of_once(tmp_path: Path) -> None:
    message = r"group 0 of SGD has weight_decay=0.1 on the learned rates \['net.dropout'\].*rate_param_groups"
    with pytest.warns(UserWarning, match=message) as caught:
        fit(Quiet(weight_decay=0.1), tmp_path, [RatePenalty()], max_epochs=2)
    assert sum("weight_decay" in str(one.message) for one in caught) == 1


def test_weight_decay_of_the_weights_alone_is_not_warned_of(tmp_path: Path) -> None:
    model = Quiet()
    model.make = lambda _: torch.optim.SGD(ad.rate_param_groups(model, lr=0.1), weight_decay=0.1)  # type: ignore[assignment]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*weight_decay.*")
        fit(model, tmp_path, [RatePenalty()], max_epochs=1)


def test_norms_add_up_with_each_other_and_with_the_divergence(tmp_path: Path) -> None:
    logger, model = Memory(), Quiet()
    fit(model, tmp_path, [L1Penalty(0.5), L2Penalty(0.25), RatePenalty()], max_epochs=1, logger=logger)
    by_weight, by_logit = expected(4)
    assert (by_weight + 0.5 + 2 * 0.25, by_logit) == gradients(model)
    assert logger.series("l1_penalty")[0] == (0, pytest.approx(0.5))
    assert logger.series("l2_penalty")[0] == (0, pytest.approx(0.25))


def test_a_penalty_on_weights_without_a_gradient_of_the_data_gives_them_one(tmp_path: Path) -> None:
    class Aside(Quiet):
        def __init__(self) -> None:
            super().__init__(penalised=False)
            self.aside = nn.Linear(1, 1, bias=False)
            nn.init.ones_(self.aside.weight)

    model = Aside()
    fit(model, tmp_path, [L2Penalty(0.25)], max_steps=1, max_epochs=-1)
    assert model.gradients[0] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("penalty", [L1Penalty, L2Penalty])
def test_norms_of_a_model_without_weights_are_told(penalty: Any, tmp_path: Path) -> None:
    model = Quiet(penalised=False)
    model.net = nn.BatchNorm1d(1)  # type: ignore[assignment]
    with pytest.raises(ValueError, match="Quiet has no weights"):
        fit(model, tmp_path, [penalty(0.1)])


@pytest.mark.parametrize("penalty", [RatePenalty(), L1Penalty(0.1)])
def test_sharded_models_are_refused(penalty: L.Callback) -> None:
    trainer = SimpleNamespace(strategy=FSDPStrategy())
    with pytest.raises(ValueError, match="needs whole weights, but FSDPStrategy shards them; use strategy='ddp'"):
        penalty.setup(trainer, Quiet(), "fit")  # type: ignore[arg-type]
