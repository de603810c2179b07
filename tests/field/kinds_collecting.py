"""Modules that collect what validation gives, in lists, counters, metrics and hooks of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.field.harness import Kind
from tests.field.parts import Plain, loaders, mlp


class OutputsList(Plain):
    # Lightning's guide for the change to 2.0: outputs are collected by the module itself
    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []
        self.epochs: list[int] = []

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        self.outputs.append((self(batch[0]).argmax(1) == batch[1]).float())

    def on_validation_epoch_end(self) -> None:
        right = torch.cat(self.outputs)
        self.epochs.append(len(right))
        self.log("val_accuracy", right.mean())
        self.outputs.clear()


class MadeAtEpochStart(Plain):
    # huggingface/transformers examples ported to Lightning: fresh lists when a validation begins
    def on_validation_epoch_start(self) -> None:
        self.scores: dict[str, list[float]] = {"hit": []}

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        self.scores["hit"].append(float((self(batch[0]).argmax(1) == batch[1]).sum()))

    def on_validation_epoch_end(self) -> None:
        self.log("hits", sum(self.scores["hit"]))


def class_level_list(folder: Path) -> L.LightningModule:
    # older course notebooks: mutable attributes of the class
    class Shared(Plain):
        history: ClassVar[list[float]] = []
        best: ClassVar[dict[str, float]] = {}

        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            loss = self.loss(batch)
            self.log("val_loss", loss)
            self.history.append(loss.item())
            self.best["loss"] = min(self.best.get("loss", loss.item()), loss.item())

    return Shared()


class Counting(Plain):
    # facebookresearch/fairseq ports: number of updates and of examples seen, as attribute and as buffer
    def __init__(self) -> None:
        super().__init__()
        self.validated, self.by_size = 0, {}
        self.register_buffer("examples", torch.zeros((), dtype=torch.long))

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.validated += 1
        self.by_size[len(batch[0])] = self.by_size.get(len(batch[0]), 0) + 1
        self.examples += len(batch[0])
        self.log("val_loss", self.loss(batch))


def closure_hook(folder: Path) -> L.LightningModule:
    # PyTorch forum, "how to get intermediate features": a forward hook that appends to a list around it
    module, features = Plain(), []
    module.net[0].register_forward_hook(lambda layer, given, made: features.append(made.detach().mean()))
    return module


class HookToSelf(Plain):
    # pytorch-grad-cam and feature extractors: hooks that are methods of the module
    def __init__(self) -> None:
        super().__init__()
        self.activations: list[Tensor] = []
        self.net[1].register_forward_hook(self.keep)
        self.net[0].register_forward_pre_hook(self.count)
        self.forwards = 0

    def keep(self, layer: nn.Module, given: Any, made: Tensor) -> None:
        self.activations.append(made.detach().std())

    def count(self, layer: nn.Module, given: Any) -> None:
        self.forwards += 1


def partial_hook(folder: Path) -> L.LightningModule:
    # timm's FeatureHooks and torchvision's feature tutorials: functools.partial of a method, by layer name
    from functools import partial

    class ByName(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.means: dict[str, list[float]] = {}
            for name, layer in self.net.named_children():
                layer.register_forward_hook(partial(self.keep, name))

        def keep(self, name: str, layer: nn.Module, given: Any, made: Tensor) -> None:
            self.means.setdefault(name, []).append(float(made.detach().mean()))

    return ByName()


class Nested(Plain):
    # pl_bolts and segmentation models: a LightningModule that trains another one, which collects
    def __init__(self) -> None:
        super().__init__(net=OutputsList())

    def forward(self, x: Tensor) -> Tensor:
        made = self.net(x)
        if not self.training:
            self.net.outputs.append(made.detach().argmax(1).float())
        return made  # type: ignore[no-any-return]

    def on_validation_epoch_end(self) -> None:
        self.log("mean_class", torch.cat(self.net.outputs).mean())
        self.net.outputs.clear()


class BestSoFar(Plain):
    # Kaggle notebooks: the best score and the epoch it was reached in, kept by the module, a copy of the weights too
    def __init__(self) -> None:
        super().__init__()
        self.best, self.best_state, self.seen = float("inf"), {}, []

    def on_validation_epoch_end(self) -> None:
        loss = float(self.trainer.callback_metrics["val_loss"])
        self.seen.append(loss)
        if loss < self.best:
            self.best = loss
            self.best_state = {name: value.clone() for name, value in self.state_dict().items()}
        self.log("best", self.best)


class SharedWithCaller(Plain):
    # a list of the caller's, handed to the module and to a plain object that it holds
    def __init__(self, history: list[float]) -> None:
        super().__init__()
        self.history, self.journal = history, _Journal(history)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.journal.write(float(loss))
        self.log("val_loss", loss)


class _Journal:
    def __init__(self, lines: list[float]) -> None:
        self.lines = lines

    def write(self, line: float) -> None:
        self.lines.append(line)


class ListOfHeads(Plain):
    # multi-head Kaggle models: losses by head in a dictionary of lists, emptied by the training hooks
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({"a": mlp(), "b": mlp()})
        self.by_head: dict[str, list[Tensor]] = {"a": [], "b": []}

    def loss(self, batch: Any) -> Tensor:
        losses = {name: F.cross_entropy(head(batch[0]), batch[1]) for name, head in self.heads.items()}
        for name, loss in losses.items():
            self.by_head[name].append(loss.detach())
        return sum(losses.values()) + super().loss(batch)

    def on_train_epoch_end(self) -> None:
        self.log_dict({f"mean_{name}": torch.stack(kept).mean() for name, kept in self.by_head.items()})
        self.by_head = {name: [] for name in self.by_head}


KINDS = [
    Kind("outputs_list", lambda _: OutputsList(), loaders),
    Kind("outputs_list_sanity", lambda _: OutputsList(), loaders, {"num_sanity_val_steps": 2}),
    Kind("made_at_epoch_start", lambda _: MadeAtEpochStart(), loaders),
    Kind("class_level_list", class_level_list, loaders),
    Kind("counting", lambda _: Counting(), loaders),
    Kind("closure_hook", closure_hook, loaders),
    Kind("hook_to_self", lambda _: HookToSelf(), loaders),
    Kind("partial_hook", partial_hook, loaders),
    Kind("nested", lambda _: Nested(), loaders),
    Kind("best_so_far", lambda _: BestSoFar(), loaders),
    Kind("shared_with_caller", lambda _: SharedWithCaller([]), loaders),
    Kind("list_of_heads", lambda _: ListOfHeads(), loaders),
]
