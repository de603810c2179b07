from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor

from benchmarks.effect.methods import max_norm
from benchmarks.effect.tasks import MomentumTask
from benchmarks.supervised.method import Method, none
from benchmarks.supervised.training import TrainedRow, train
from tests.benchmarks.digits_task import SOURCE, cell, mlp


class Watch(L.Callback):
    """Sees the learning rate and the weights of every step."""

    def __init__(self) -> None:
        self.lrs: list[float] = []
        self.norms: list[float] = []
        self.types: set[torch.dtype] = set()

    def on_fit_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        pl_module.network.linear2.register_forward_hook(self._see)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.lrs.append(trainer.optimizers[0].param_groups[0]["lr"])
        self.norms.append(pl_module.network.linear2.weight.detach().norm(dim=1).max().item())

    def _see(self, module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.types.add(output.dtype)


def task(**settings: Any) -> MomentumTask:
    sizes = {"n_train": 320, "n_val": 300, "n_test": 500, "batch_size": 32, "epochs": 8, "validations": 1}
    return MomentumTask(source=SOURCE, build=mlp, **(sizes | settings))


def watched(method: Method, **settings: Any) -> tuple[Watch, TrainedRow]:
    watch = Watch()
    with_watch = replace(method, callbacks=lambda: [*method.callbacks(), watch])
    return watch, train(cell(), task(**settings), with_watch, Path(), "cpu")


def test_the_learning_rate_falls_in_a_straight_line_and_the_digits_are_learned() -> None:
    watch, row = watched(none())
    assert watch.lrs[::10] == pytest.approx([0.03 * (1 - epoch / 8) for epoch in range(8)])
    assert row.test_accuracy > 0.8  # 0.1 by guessing
    assert len(row.val_losses) == 1


def test_the_weights_stay_in_the_ball() -> None:
    assert max(watched(none())[0].norms) > 0.9
    assert max(watched(max_norm(norm=0.8))[0].norms) <= 0.8 * (1 + 1e-5)


@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_the_network_computes_in_the_precision_that_was_set(precision: str, dtype: torch.dtype) -> None:
    watch, row = watched(none(), precision=precision)
    assert watch.types == {dtype}
    assert row.test_accuracy > 0.8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": 1.0}, r"momentum has to be in \[0, 1\), but got 1.0"),
        ({"precision": "fp8"}, "precision has to be one of .*'bf16-mixed'.*, but got 'fp8'"),
    ],
)
def test_settings_out_of_range_are_told_when_a_study_is_read(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(**settings)
