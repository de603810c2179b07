"""The methods that are compared: each way to learn a rate, from one start, and norms of the weights beside dropout.

The references, the ten fixed rates and the default controller, are rows of `benchmarks.control` and not trained again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import BernoulliGradient, L1Penalty, L2Penalty, RatePenalty
from adaptive_dropout.tasks import Task
from benchmarks.control.methods import METHODS, Method
from benchmarks.learned import surgery
from benchmarks.learned.surgery import START, Surgery

__all__ = [
    "BESIDE",
    "DEFAULTS",
    "LEARNED",
    "NORMS",
    "PENALTIES",
    "TASKS",
    "ExampleLosses",
    "example_losses",
    "name_with_norm",
]

TASKS = (
    *("digits:200", "digits:1000", "digits:500:noise", "digits:500:noise:sgd", "diabetes", "diabetes:cosine"),
    *("breast-cancer", "boston", "energy", "yacht", "wine", "power", "protein"),
    *("letter", "phoneme", "satimage", "spambase"),
)
"""The tasks of the study with a dense network, tables or 8 x 8 digits, on which a run takes seconds."""

DEFAULTS = ("rewind:0.05", "rewind:0.3")
"""The default controller of the library from two starts; rows of the study."""

WIDTH = 256  # of both hidden layers
WARM_UP = ad.LinearSchedule(0.0, 1.0, steps=0.2)


class ExampleLosses(L.Callback):
    """Adds ``example_losses`` to the result of ``training_step``, from the same pass through the network.

    `BernoulliGradient` then judges the masks of each example by the loss of that example: by the mean over a batch of
    64 the variance would be about 64 times as large.
    """

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Replace the training step."""
        assert isinstance(pl_module, Task)
        pl_module.training_step = functools.partial(_step_by_example, pl_module)  # type: ignore[assignment, method-assign]

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the task's own step."""
        del pl_module.training_step


def example_losses(task: Task, output: Tensor, y: Tensor) -> Tensor:
    """Return the loss of each example, (batch,), whose mean is ``task.loss(output, y)``."""
    losses: Tensor = torch.vmap(lambda one, target: task.loss(one[None], target[None]))(output, y)
    return losses


def _step_by_example(task: Task, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
    x, y = batch
    losses = example_losses(task, task(x), y)
    return {"loss": losses.mean(), "example_losses": losses}


def _change(change: Callable[[nn.Module], None], *callbacks: Callable[[], L.Callback], start: float = START) -> Method:
    plain = functools.partial(ad.Dropout, 0.0)
    return Method(plain, start, lambda: [Surgery(change), *(make() for make in callbacks)])


def _replace(layer: Callable[[], nn.Module], *callbacks: Callable[[], L.Callback]) -> Method:
    return Method(layer, START, lambda: [make() for make in callbacks])


LEARNED: dict[str, Method] = {
    "concrete:penalty": _change(surgery.concrete, RatePenalty),
    "variational:layer": _replace(functools.partial(ad.VariationalDropout, START, WIDTH), RatePenalty),
    "variational:unit": _replace(lambda: ad.VariationalDropout(ad.LearnedRate(START, (WIDTH,))), RatePenalty),
    "sparse": _change(surgery.sparse, functools.partial(RatePenalty, warm_up=WARM_UP), start=math.nan),
    "disarm:penalty": _change(surgery.bernoulli, RatePenalty, ExampleLosses, BernoulliGradient),
    "disarm": _replace(functools.partial(ad.BernoulliDropout, START), ExampleLosses, BernoulliGradient),
    "gaussian": _replace(lambda: ad.GaussianDropout(ad.LearnedRate(START))),
    "contextual": _replace(functools.partial(ad.ContextualDropout, WIDTH, START)),
    "standout": _change(surgery.standout),
}
"""Learned rates by name. Sparse layers have no p to start from: ln sigma^2 of each weight starts at -10."""

PENALTIES: dict[str, tuple[type[L1Penalty] | type[L2Penalty], tuple[float, ...]]] = {
    "l1": (L1Penalty, (1e-5, 1e-4)),
    "l2": (L2Penalty, (1e-4, 1e-3)),
}
"""Norms by name, each with the strengths that the validation loss chooses from for each task and seed."""

BESIDE = ("fixed:0", "rewind:0.05")
"""The methods to which norms are added."""


def name_with_norm(norm: str, strength: float, base: str) -> str:
    """Return the name of ``base``, a method of the study, with a norm of the weights beside it."""
    return f"{base}+{norm}:{strength:g}"


def _add_norm(make: Callable[[], L.Callback], base: Method) -> Method:
    return replace(base, callbacks=lambda: [*base.callbacks(), make()])


NORMS: dict[str, Method] = {
    name_with_norm(norm, strength, base): _add_norm(functools.partial(kind, strength), METHODS[base])
    for norm, (kind, strengths) in PENALTIES.items()
    for strength in strengths
    for base in BESIDE
}
"""Norms of the weights with and without the default controller, by name."""
