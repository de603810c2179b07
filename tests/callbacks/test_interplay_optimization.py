"""Rewinds under mixed precision, accumulated gradients and manual optimization."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from tests.callbacks.scripted import Script, Watch, adaptive_run, fit, task
from tests.callbacks.test_control import Recorder, signals_of
from tests.callbacks.toy import Toy, fit as fit_toy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
]


@pytest.mark.slow
def test_it_rewinds_under_bfloat16(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adaptive, model = adaptive_run(tmp_path, precision="bf16-mixed")
    assert adaptive.state.rewinds >= 1  # type: ignore[union-attr]
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_the_scale_of_float16_goes_on_over_a_rewind(tmp_path: Path) -> None:
    scales, watch = [], Watch()
    for moves in ("i..r.", "....."):
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3)
        precision = MixedPrecision("16-mixed", "cpu", scaler)
        fit(task(), tmp_path, [DropoutRateControl(Script(moves)), watch], plugins=[precision])
        scales.append(scaler.get_scale())
    assert scales == [4.0 * 2**6] * 2  # 20 steps without overflow double it six times
    assert torch.equal(watch.weights[3], watch.weights[0])


class Line(L.LightningModule):
    """Plain gradient descent without noise; keeps its batches, and what each optimizer step had as gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 1), ad.Dropout(0.0))
        self.batches: list[Tensor] = []
        self.steps: list[tuple[int, Tensor, Tensor]] = []
        self.biases: list[Tensor] = []

    def loss(self, x: Tensor) -> Tensor:
        return self.net(x.flatten(1)).square().mean()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.batches.append(batch[0])
        return self.loss(batch[0])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.loss(batch[0]))

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        weight = self.net[0].weight
        self.biases.append(self.net[0].bias.detach().clone())
        self.steps.append((len(self.batches), weight.detach().clone(), weight.grad.clone()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_gradients_of_a_half_accumulated_batch_are_not_applied_to_restored_weights(tmp_path: Path) -> None:
    model, settings = Line(), {"batch_size": 16, "max_epochs": 1, "val_check_interval": 2}
    fit(model, tmp_path, [DropoutRateControl(Script("ir.."))], accumulate_grad_batches=3, **settings)
    assert [batches for batches, _, _ in model.steps] == [3, 6, 8]
    initial, restored = model.steps[0][1], model.steps[1][1]
    assert torch.equal(restored, initial)
    with torch.no_grad():
        model.net[0].weight.copy_(restored)
        model.net[0].bias.copy_(model.biases[0])
    model.zero_grad()
    for batch in model.batches[4:6]:  # the fourth was accumulated when validation said to rewind
        (model.loss(batch) / 3).backward()
    assert torch.equal(model.steps[1][2], model.net[0].weight.grad)


def test_steps_are_optimizer_steps_under_accumulation(tmp_path: Path) -> None:
    control = DropoutRateControl(Recorder())
    fit_toy(Toy([1.0]), tmp_path, [control], accumulate_grad_batches=3)
    assert [(s["step"], s["total_steps"]) for s in signals_of(control)] == [(2, 6), (4, 6), (6, 6)]


def test_the_same_weights_are_decided_on_once(tmp_path: Path) -> None:
    control = DropoutRateControl(Recorder())
    fit_toy(Toy([1.0]), tmp_path, [control], accumulate_grad_batches=4, val_check_interval=1, max_epochs=2)
    assert [s["step"] for s in signals_of(control)] == [0, 1, 2]
    assert [s["train_loss"] for s in signals_of(control)] == [1.0, 3.0, 6.5]


class Gan(Line):
    """Two optimizers that take turns in every batch."""

    automatic_optimization = False

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Linear(1, 1)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        made = self.net(batch[0].flatten(1))
        losses = [self.critic(made).square().mean(), (self.critic(made.detach()) - 1).square().mean()]
        for optimizer, loss in zip(self.optimizers(), losses, strict=True):
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return {"loss": losses[0]}

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.net.parameters()), torch.optim.Adam(self.critic.parameters())


class Moments(L.Callback):
    """Keeps the weights of both networks and both optimizers' state where each epoch begins."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        states = [optimizer.state_dict()["state"] for optimizer in trainer.optimizers]
        self.seen.append(copy.deepcopy([pl_module.state_dict(), *states]))


def flat(seen: Any) -> Tensor:
    weights, *states = seen
    moments = [value for state in states for slots in state.values() for value in slots.values()]
    return torch.cat([tensor.flatten() for tensor in (*weights.values(), *moments)])


def test_several_optimizers_are_all_rewound(tmp_path: Path) -> None:
    moments = Moments()
    fit(Gan(), tmp_path, [DropoutRateControl(Script("i..r.")), moments])
    assert torch.equal(flat(moments.seen[4]), flat(moments.seen[1]))
    assert not torch.equal(flat(moments.seen[3]), flat(moments.seen[1]))


@pytest.mark.parametrize("limit", [{}, {"max_steps": 24, "max_epochs": -1}, {"max_steps": 24, "max_epochs": 9}])
def test_steps_are_batches_under_manual_optimization(tmp_path: Path, limit: dict[str, int]) -> None:
    control, model = DropoutRateControl(Recorder()), Gan()
    run = fit(model, tmp_path, [control], **{"max_epochs": 3} | limit)
    assert run.global_step == 24
    assert [(s["step"], s["total_steps"]) for s in signals_of(control)] == [(4, 12), (8, 12), (12, 12)]


def test_a_training_step_that_returns_no_loss_is_told_once_where_the_rule_needs_it(tmp_path: Path) -> None:
    class Silent(Gan):
        def training_step(self, batch: Any, batch_idx: int) -> None:
            super().training_step(batch, batch_idx)

    expected = r"no signal named 'train_loss'; .* training_step has to return its loss"
    with pytest.warns(UserWarning, match=expected) as told:
        fit(Silent(), tmp_path, [DropoutRateControl(ad.PlateauController())])
    assert len([warning for warning in told if "train_loss" in str(warning.message)]) == 1


def test_without_a_loss_of_training_it_is_measured_by_validation_with_dropout_on(tmp_path: Path) -> None:
    class Silent(Gan):
        def training_step(self, batch: Any, batch_idx: int) -> None:
            super().training_step(batch, batch_idx)

    control, model = DropoutRateControl(ad.RewindController()), Silent()
    model.net[1] = ad.Dropout(0.3)
    fit(model, tmp_path, [control])
    assert control.run is not None
    seen = [decision.signals for decision in control.run.decisions]
    assert all("train_loss" in signals for signals in seen)
    assert any(signals["train_loss"] != signals["clean_loss"] for signals in seen)
