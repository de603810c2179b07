"""Modules whose forward or hooks keep a state: statistics, averages, queues, hidden states, reparametrised weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

import adaptive_dropout as ad
from tests.field.harness import Kind
from tests.field.parts import CLASSES, FEATURES, Plain, loaders, mlp


def batch_norm() -> Plain:
    net = mlp()
    net.insert(1, nn.BatchNorm1d(12))
    return Plain(net)


class NormInTraining(Plain):
    # domain adaptation (AdaBN): the statistics of BatchNorm go on in validation
    def __init__(self) -> None:
        super().__init__(batch_norm().net)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.net[1].train()
        self.log("val_loss", self.loss(batch))


class OwnAverage(Plain):
    # CompVis/latent-diffusion: an EMA beside the net, updated after each batch, swapped in for validation
    def __init__(self) -> None:
        super().__init__()
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.stored: list[Tensor] = []

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        for mean, weight in zip(self.average.parameters(), self.net.parameters(), strict=True):
            mean.lerp_(weight.detach(), 0.1)

    def on_validation_epoch_start(self) -> None:
        self.stored = [weight.detach().clone() for weight in self.net.parameters()]
        for mean, weight in zip(self.average.parameters(), self.net.parameters(), strict=True):
            weight.data.copy_(mean)

    def on_validation_epoch_end(self) -> None:
        for stored, weight in zip(self.stored, self.net.parameters(), strict=True):
            weight.data.copy_(stored)
        self.stored = []


class Queue(Plain):
    # facebookresearch/moco: keys go into a queue that wraps around, in forward, in validation as well
    def __init__(self) -> None:
        super().__init__(mlp(4))
        self.register_buffer("queue", F.normalize(torch.randn(4, 32), dim=0))
        self.register_buffer("at", torch.zeros(1, dtype=torch.long))

    def loss(self, batch: Any) -> Tensor:
        first, second = (F.normalize(self.net(batch[0] + 0.05 * i), dim=1) for i in (0, 1))
        logits = torch.cat([(first * second).sum(1, keepdim=True), first @ self.queue.clone()], 1) / 0.2
        start = int(self.at)
        self.queue[:, start : start + len(second)] = second.detach().T
        self.at[0] = (start + len(second)) % 32
        return F.cross_entropy(logits, torch.zeros(len(first), dtype=torch.long))


class HiddenBetweenBatches(Plain):
    # salesforce/awd-lstm-lm: the hidden state goes on from batch to batch, in validation too
    def __init__(self) -> None:
        super().__init__(
            nn.ModuleList([nn.LSTM(FEATURES, 8, batch_first=True), ad.Dropout(0.2), nn.Linear(8, CLASSES)])
        )
        self.hidden: Any = None
        self.validated: Any = None

    def forward(self, x: Tensor) -> Tensor:
        name = "hidden" if self.training else "validated"
        state = getattr(self, name)
        made, state = self.net[0](x.unsqueeze(1), state)
        setattr(self, name, tuple(part.detach() for part in state))
        return self.net[2](self.net[1](made[:, -1]))  # type: ignore[no-any-return]


class HiddenWithGraph(HiddenBetweenBatches):
    # the same, kept as it left forward: a tensor with a graph is an attribute when validation begins
    def forward(self, x: Tensor) -> Tensor:
        made, state = self.net[0](x.unsqueeze(1))
        self.hidden, self.features = state, {"last": made}
        return self.net[2](self.net[1](made[:, -1]))  # type: ignore[no-any-return]


class Teacher(Plain):
    # Mean-teacher and distillation: a frozen copy in eval mode, not to be moved
    def __init__(self) -> None:
        super().__init__()
        self.teacher = mlp().requires_grad_(False).eval()
        self.modes: list[bool] = []

    def on_train_epoch_start(self) -> None:
        self.teacher.eval()

    def loss(self, batch: Any) -> Tensor:
        self.modes.append(self.teacher.training)
        soft = F.softmax(self.teacher(batch[0]), 1)
        return super().loss(batch) + F.kl_div(F.log_softmax(self(batch[0]), 1), soft, reduction="batchmean")


class Lazy(Plain):
    # positional tables: a buffer is made by the first forward, and grows with its input
    def loss(self, batch: Any) -> Tensor:
        if not hasattr(self, "table") or len(self.table) < len(batch[0]):
            self.table = torch.arange(len(batch[0])).float().unsqueeze(1) * 0.01
        return super().loss((batch[0] + self.table[: len(batch[0])], batch[1]))


class Memoised(Plain):
    # physics-informed and graph models: what was computed once is kept by a key, for good
    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[int, Tensor] = {}

    def loss(self, batch: Any) -> Tensor:
        key = int(batch[0].sum() * 1000)
        self.cache.setdefault(key, batch[0].norm(dim=1, keepdim=True))
        return super().loss((batch[0] / (1 + self.cache[key]), batch[1]))


class CodeBook(Plain):
    # vector quantisation (VQ-VAE with EMA code book): codes move in each forward in training, usage is counted always
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("codes", torch.randn(5, FEATURES))
        self.register_buffer("used", torch.zeros(5), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        nearest = torch.cdist(x, self.codes).argmin(1)
        self.used += F.one_hot(nearest, 5).sum(0)
        if self.training:
            self.codes[nearest] += 0.05 * (x - self.codes[nearest])
        return self.net(x + self.codes[nearest])  # type: ignore[no-any-return]


class StochasticDepth(Plain):
    # timm and torchvision: residual blocks of which some are left out
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(FEATURES, FEATURES) for _ in range(3)])
        self.paths = nn.ModuleList([ad.DropPath(0.1 * i) for i in range(1, 4)])

    def forward(self, x: Tensor) -> Tensor:
        for block, path in zip(self.blocks, self.paths, strict=True):
            x = x + path(torch.relu(block(x)))
        return self.net(x)  # type: ignore[no-any-return]


def converted(folder: Path) -> L.LightningModule:
    # somebody else's encoder, converted in both runs
    encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
    module = Plain(
        nn.Sequential(nn.Linear(FEATURES, 8), nn.Unflatten(1, (1, 8)), encoder, nn.Flatten(), nn.Linear(8, CLASSES))
    )
    ad.convert(module)
    return module


def parametrised(how: str) -> Plain:
    # GAN discriminators and weight-normalised audio nets
    net = mlp()
    wrap = {"weight": parametrizations.weight_norm, "spectral": parametrizations.spectral_norm}
    if how == "own":
        parametrize.register_parametrization(net[0], "weight", Scaled())
    else:
        wrap[how](net[0])
    return Plain(net)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, weight: Tensor) -> Tensor:
        self.calls += 1
        return weight / (1 + weight.norm())


def tied(folder: Path) -> L.LightningModule:
    # language models: input and output embedding are one parameter
    module = Plain(nn.Sequential(nn.Linear(FEATURES, FEATURES), ad.Dropout(0.2), nn.Linear(FEATURES, FEATURES)))
    module.net[2].weight = module.net[0].weight
    return module


KINDS = [
    Kind("batch_norm", lambda _: batch_norm(), loaders, {"num_sanity_val_steps": 2}),
    Kind("batch_norm_in_training_mode", lambda _: NormInTraining(), loaders),
    Kind("own_average", lambda _: OwnAverage(), loaders),
    Kind("queue", lambda _: Queue(), loaders),
    Kind("hidden_between_batches", lambda _: HiddenBetweenBatches(), loaders),
    Kind("hidden_with_graph", lambda _: HiddenWithGraph(), loaders),
    Kind("teacher", lambda _: Teacher(), loaders),
    Kind("lazy", lambda _: Lazy(), loaders),
    Kind("memoised", lambda _: Memoised(), loaders),
    Kind("code_book", lambda _: CodeBook(), loaders),
    Kind("stochastic_depth", lambda _: StochasticDepth(), loaders),
    Kind("converted", converted, loaders),
    Kind("weight_norm", lambda _: parametrised("weight"), loaders),
    Kind("spectral_norm", lambda _: parametrised("spectral"), loaders),
    Kind("own_parametrisation", lambda _: parametrised("own"), loaders),
    Kind("tied_weights", tied, loaders),
]
