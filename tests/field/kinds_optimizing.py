"""Modules and trainers that optimize in their own way: manually, in other precisions, compiled, averaged, clipped."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, WeightAveraging
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import lr_scheduler

import adaptive_dropout as ad
from tests.field.harness import Kind
from tests.field.parts import FEATURES, Plain, loaders, mlp


class Manual(Plain):
    # Lightning's guide to manual optimization: two optimizers, a schedule stepped when validation ends
    def __init__(self) -> None:
        super().__init__()
        self.head = mlp(features=3)
        self.automatic_optimization = False
        self.rates: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.net(x))  # type: ignore[no-any-return]

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        for optimizer in self.optimizers():
            loss = self.loss(batch)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return loss.detach()

    def on_validation_epoch_end(self) -> None:
        schedule = self.lr_schedulers()
        schedule.step()
        self.rates.append(schedule.get_last_lr()[0])
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        first, second = torch.optim.SGD(self.net.parameters(), 0.1), torch.optim.Adam(self.head.parameters(), 0.01)
        return [first, second], [lr_scheduler.ExponentialLR(first, 0.5)]


class Gan(Plain):
    # Lightning's generative_adversarial_net.py: nothing is returned, samples are kept when the epoch ends
    def __init__(self) -> None:
        super().__init__(mlp(FEATURES))
        self.critic = mlp(1)
        self.automatic_optimization = False
        self.samples: list[Tensor] = []

    def real(self, x: Tensor, label: float) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.critic(x), torch.full((len(x), 1), label))

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        for optimizer, label in zip(self.optimizers(), (1.0, 0.0), strict=True):
            self.toggle_optimizer(optimizer)
            made = self.net(torch.randn_like(batch[0]))
            loss = self.real(made, label) + (self.real(batch[0], 1.0) if label == 0 else 0.0)
            self.log(f"loss_{label:.0f}", loss)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            self.untoggle_optimizer(optimizer)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("val_loss", self.real(self.net(torch.randn_like(batch[0])), 1.0))

    def on_validation_epoch_end(self) -> None:
        self.samples.append(self.net(torch.randn(2, FEATURES)).detach())

    def configure_optimizers(self) -> Any:
        return [torch.optim.Adam(net.parameters(), 0.01) for net in (self.net, self.critic)]


class OnPlateau(Plain):
    # torch's ReduceLROnPlateau by the validation loss, the rate read in validation_step
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        self.log("lr_too", self.optimizers().param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5, threshold=1.0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val_loss"}}


class WarmUp(Plain):
    # the original Transformer's warm-up, in optimizer_step
    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, closure: Any = None) -> None:
        optimizer.step(closure=closure)
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * min(1.0, (self.trainer.global_step + 1) / 8)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.log("norm", torch.stack([p.grad.norm() for p in self.parameters() if p.grad is not None]).max())


class GradientInStep(Plain):
    # energy and physics-informed models: a derivative by the input is part of the loss, in validation too
    def loss(self, batch: Any) -> Tensor:
        with torch.enable_grad():
            x = batch[0].clone().requires_grad_()
            loss = F.cross_entropy(self(x), batch[1])
            (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        return loss + slope.pow(2).sum()


class BackwardInStep(Plain):
    # saliency, test-time training: backward is called in validation, gradients stay until the next step clears them
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        with torch.enable_grad():
            loss = self.loss(batch)
            loss.backward()
        self.log("val_loss", loss.detach())
        self.log("grad", self.net[0].weight.grad.norm())


class TestTimeTraining(Plain):
    # test-time adaptation (TENT): weights move in validation and are put back
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        before = {name: value.clone() for name, value in self.net.state_dict().items()}
        with torch.enable_grad():
            optimizer = torch.optim.SGD(self.net.parameters(), 0.01)
            optimizer.zero_grad()
            (-F.softmax(self(batch[0]), 1).log().mean()).backward()
            optimizer.step()
        self.log("val_loss", self.loss(batch).detach())
        self.net.load_state_dict(before)


class StepsOptimizer(Plain):
    # the optimizer itself is stepped in validation: learning goes on there (online learning baselines)
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        with torch.enable_grad():
            loss = self.loss(batch)
            self.optimizers().zero_grad()
            loss.backward()
            self.optimizers().step()
        self.log("val_loss", loss.detach())


class ChangesRate(Plain):
    # schedules by hand: validation halves the learning rate of the optimizer
    def on_validation_epoch_end(self) -> None:
        for group in self.optimizers().param_groups:
            group["lr"] *= 0.5

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        if batch_idx == 0:
            self.trainer.optimizers[0].param_groups[0]["momentum"] *= 0.9


class StopsItself(Plain):
    # early stopping by hand: validation tells the trainer to stop
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        if self.current_epoch == 1 and not self.trainer.sanity_checking:
            self.trainer.should_stop = True


def counting(graphs: list[int]) -> Any:
    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    return backend


class CompiledNet(Plain):
    # torch.compile of the net in the constructor; the list of graphs is compared with all else
    def __init__(self) -> None:
        super().__init__()
        self.graphs: list[int] = []
        self.fast = torch.compile(self.net, backend=counting(self.graphs))

    def forward(self, x: Tensor) -> Tensor:
        return self.fast(x)  # type: ignore[no-any-return]


class CompiledInPlace(Plain):
    # the same by Module.compile
    def __init__(self) -> None:
        super().__init__()
        self.graphs: list[int] = []
        self.net.compile(backend=counting(self.graphs))


class CompiledWhole(Plain):
    # Lightning's documentation: the LightningModule itself is compiled
    def __init__(self) -> None:
        super().__init__()
        self.graphs: list[int] = []


def compiled(module: L.LightningModule) -> Any:
    return torch.compile(module, backend=counting(module.graphs))


def frozen_backbone() -> Plain:
    module = Plain(nn.Sequential(mlp(FEATURES), mlp()))
    module.net[0].requires_grad_(False)
    return module


def alone() -> Plain:
    return Plain(nn.Sequential(nn.Linear(FEATURES, 3), ad.Dropout(0.3)))


KINDS = [
    Kind("manual", lambda _: Manual(), loaders),
    Kind("gan", lambda _: Gan(), loaders),
    Kind("on_plateau", lambda _: OnPlateau(), loaders),
    Kind("warm_up", lambda _: WarmUp(), loaders),
    Kind("gradient_in_step", lambda _: GradientInStep(), loaders, {"inference_mode": False}),
    Kind("backward_in_step", lambda _: BackwardInStep(), loaders, {"inference_mode": False}),
    Kind("test_time_training", lambda _: TestTimeTraining(), loaders, {"inference_mode": False}),
    Kind("steps_optimizer", lambda _: StepsOptimizer(), loaders, {"inference_mode": False}),
    Kind("changes_rate", lambda _: ChangesRate(), loaders),
    Kind("stops_itself", lambda _: StopsItself(), loaders),
    Kind("accumulates", lambda _: Plain(), loaders, {"accumulate_grad_batches": 3}),
    Kind("validates_often", lambda _: Plain(), loaders, {"val_check_interval": 2}),
    Kind("validates_seldom", lambda _: Plain(), loaders, {"check_val_every_n_epoch": 2, "max_epochs": 6}),
    Kind("clips", lambda _: Plain(), loaders, {"gradient_clip_val": 0.1}),
    Kind("double", lambda _: WarmUp(), loaders, {"precision": "64-true"}),
    Kind("bf16_mixed", lambda _: WarmUp(), loaders, {"precision": "bf16-mixed"}),
    Kind("few_validation_batches", lambda _: Plain(), loaders, {"limit_val_batches": 1, "limit_train_batches": 3}),
    Kind("reloads", lambda _: Plain(), loaders, {"reload_dataloaders_every_n_epochs": 1}),
    Kind("ema", lambda _: Plain(), loaders, callbacks=lambda: [EMAWeightAveraging(decay=0.8)]),
    Kind("weight_averaging", lambda _: Plain(), loaders, callbacks=lambda: [WeightAveraging()]),
    Kind(
        "checkpoints",
        lambda _: Plain(),
        loaders,
        {"enable_checkpointing": True},
        lambda: [ModelCheckpoint(monitor="val_loss", save_top_k=2, save_last=True)],
    ),
    Kind("compiled_net", lambda _: CompiledNet(), loaders),
    Kind("compiled_in_place", lambda _: CompiledInPlace(), loaders),
    Kind("compiled_whole", lambda _: CompiledWhole(), loaders, {"max_epochs": 2}, compiled=compiled),
    Kind("frozen_backbone", lambda _: frozen_backbone(), loaders),
    Kind("dropout_alone", lambda _: alone(), loaders),
]
