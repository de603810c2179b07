"""Per step the callbacks wait for no device and do little, however many layers a model has."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import adaptive_dropout as ad
from adaptive_dropout.callbacks import (
    AdaptiveDropout,
    DropoutRateControl,
    DropoutRateMonitor,
    DropoutRateScheduler,
    LearnedRateMonitor,
    RatePenalty,
)
from adaptive_dropout.callbacks.losses import add_batch_loss
from adaptive_dropout.callbacks.penalties import _scale
from adaptive_dropout.signals import RunningLoss
from tests.callbacks.toy import fit
from tests.fake_device import fake_cuda, no_waits

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")

FIRST, STEPS = 6, 70  # from the first on, all caches are filled; a `RunningLoss` adds up 64 at once
HOOKS = (
    "on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
    "on_before_optimizer_step", "on_train_batch_end",
)  # fmt: skip
STEERED: dict[str, Callable[[], L.Callback]] = {
    "AdaptiveDropout": AdaptiveDropout,
    "Plateau": lambda: DropoutRateControl(ad.PlateauController()),
    "Gap": lambda: DropoutRateControl(ad.GapController()),
    "monitor": DropoutRateMonitor,
}


class Deep(L.LightningModule):
    """Has ``layers`` blocks with dropout, and trains none of them."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.net = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), ad.Dropout(0.1)) for _ in range(layers)))
        self.weight = nn.Parameter(torch.zeros(()))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return (self.weight - batch.mean()) ** 2

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val_loss", (self.weight - batch.mean()) ** 2)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class NoReads(TorchDispatchMode):
    """Raises where a number is read from a tensor."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default, "a number is read"
        return func(*args, **(kwargs or {}))


def calls_per_step(callback: L.Callback, layers: int, folder: Path) -> float:
    """The functions that ``callback`` calls in its hooks, those of C with them, in a mean step."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    def counted(hook: Callable[..., None]) -> Callable[..., None]:
        def run(trainer: L.Trainer, *arguments: Any) -> None:
            if trainer.fit_loop.epoch_loop.batch_idx < FIRST:
                return hook(trainer, *arguments)
            gc.disable()  # what it calls would be counted
            with NoReads():
                sys.setprofile(count)
                try:
                    hook(trainer, *arguments)
                finally:
                    sys.setprofile(None)
                    gc.enable()

        return run

    for name in HOOKS:
        setattr(callback, name, counted(getattr(callback, name)))
    fit(Deep(layers), folder, [callback], batches=STEPS, max_epochs=1, log_every_n_steps=1000)
    return calls / (STEPS - FIRST)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:this run validates:UserWarning")
@pytest.mark.parametrize("make", STEERED.values(), ids=STEERED)
def test_a_step_takes_few_calls_whatever_the_number_of_layers(make: Callable[[], L.Callback], tmp_path: Path) -> None:
    running = RunningLoss()
    with NoReads():  # torch makes its operations when they are first dispatched
        for _ in range(STEPS):
            running.add(torch.zeros(()))
    few, many = (calls_per_step(make(), layers, tmp_path) for layers in (2, 40))
    assert few == many
    assert many < 120  # 15 us or so; a walk over the modules of a GPT of 8 blocks makes 500


class Steps:
    """What the hooks of a step ask a trainer."""

    def __init__(self, model: nn.Module) -> None:
        self.automatic_optimization = True
        self.trainer = self.lightning_module = self.strategy = self
        self.root_device = torch.device("cpu")
        self.accumulate_grad_batches, self.estimated_stepping_batches, self.global_step = 1, 100, 0
        self.callbacks, self.optimizers = [RatePenalty()], []
        self.model = model


def test_the_running_loss_stays_on_the_device() -> None:
    running = RunningLoss()
    with fake_cuda():
        losses = [torch.ones(()) for _ in range(STEPS)]
        with no_waits():
            for loss in losses:
                add_batch_loss(running, Steps(nn.Identity()), loss)  # type: ignore[arg-type]
    assert running._sums is not None
    assert running._sums.is_cuda


def test_rates_are_set_without_waiting() -> None:
    with fake_cuda():
        model = nn.Sequential(ad.Dropout(0.1), ad.Dropout(ad.LinearSchedule(0.5, 0.0, steps=10)))
        with no_waits():
            ad.set_rates(model, {"0": 0.3})
            ad.set_step(model, 5)
            ad.refresh_rates(model)
    assert ad.get_rates(model) == {"0": 0.3, "1": 0.25}


def test_a_schedule_is_followed_without_waiting() -> None:
    with fake_cuda():
        model: Any = nn.Sequential(ad.Dropout(ad.LinearSchedule(0.5, 0.0)))
        scheduler, trainer = DropoutRateScheduler(), Steps(model)
        trainer.callbacks = [scheduler]
        model.automatic_optimization = True
        scheduler.on_fit_start(trainer, model)  # type: ignore[arg-type]
        scheduler.on_train_start(trainer, model)  # type: ignore[arg-type]
        trainer.global_step = 50
        with no_waits():
            scheduler.on_train_batch_start(trainer, model, None, 50)  # type: ignore[arg-type]
    assert model[0].p == 0.25


def test_gradients_of_learned_rates_are_watched_without_waiting() -> None:
    with fake_cuda():
        model: Any = nn.Sequential(ad.GaussianDropout(ad.LearnedRate(0.2)))
        monitor, trainer = LearnedRateMonitor(), Steps(model)
        monitor.on_fit_start(trainer, model)  # type: ignore[arg-type]
        monitor.on_train_start(trainer, model)  # type: ignore[arg-type]
        model[0].rate.logit.grad = torch.ones(())
        with no_waits():
            for _ in range(2):
                monitor.on_before_optimizer_step(trainer, model, torch.optim.SGD(model.parameters(), lr=0.1))  # type: ignore[arg-type]
    assert list(monitor._reached) == ["0"]


def test_a_penalty_is_scaled_for_float16_without_waiting() -> None:
    fused: Any = SimpleNamespace(_step_supports_amp_scaling=True)
    trainer: Any = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=torch.amp.GradScaler("cpu")))
    with fake_cuda():
        penalty = torch.ones((), requires_grad=True)
        with no_waits():
            assert _scale(penalty, trainer, fused).is_cuda
