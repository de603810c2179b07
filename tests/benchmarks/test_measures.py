from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import lightning.pytorch as L
import pytest
import torch

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from benchmarks.control.tasks import TASKS
from benchmarks.study.training import GradientCost
from tests.callbacks.test_gradient_meters import Listener


def cost(asks: tuple[str, ...], folder: Path) -> float:
    """The count of a run of two windows of 40 batches of 32."""
    task = TASKS["digits:200"]
    task = replace(task, fitting=replace(task.fitting, steps=2000, batch_size=32))
    data = task.data(None, 1)
    data.setup("fit")
    counted = GradientCost()
    trainer = L.Trainer(
        accelerator="cpu", max_steps=80, val_check_interval=40, check_val_every_n_epoch=None, logger=False,
        callbacks=[counted, DropoutRateControl(Listener(asks))], enable_checkpointing=False, default_root_dir=folder,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(task.model(data, functools.partial(ad.Dropout, 0.3)), data)
    return counted.examples


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_what_measuring_costs_is_counted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = cost((), tmp_path)
    assert plain == pytest.approx(80 * 32 + 32 / 3)  # a forward of the first batch shows what validation logs
    # Two turns a window on 23 examples, on 16 before the first validation; 10/3 of a gradient for each.
    assert cost(("hypergradient",), tmp_path) - plain == pytest.approx((2 * 16 + 2 * 23) * 10 / 3)
    # Four turns a window on 32 examples, on 16 before the first validation.
    assert cost(("response",), tmp_path) - plain == pytest.approx(4 * 16 + 4 * 32)
