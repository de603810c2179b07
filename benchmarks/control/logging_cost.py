"""The cost of recording a run: processor time of our hooks, records and logger calls beside that of a training step.

``python -m benchmarks.control.logging_cost`` trains the quickstart with W&B offline, in a folder that it removes, and
prints Markdown. It counts one thread, which does all of the training; W&B writes in a process of its own. The table and
the figure at the end are of a run, not of a step, and stand in a line of their own.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import lightning.pytorch as L
import torch
import wandb

from adaptive_dropout.callbacks import DropoutRateControl, DropoutRateMonitor, control
from adaptive_dropout.controllers import RewindController
from adaptive_dropout.data import Digits
from adaptive_dropout.modules import Dropout
from adaptive_dropout.networks import MLP
from adaptive_dropout.steering import ControlLoop
from adaptive_dropout.tasks import Classifier
from adaptive_dropout.tracking import WandbLogger

__all__ = ["seconds"]

HOOKS = ("on_train_batch_start", "on_train_batch_end")


def seconds(epochs: int, folder: Path) -> tuple[dict[str, float], int]:
    """Return the seconds of each part of one run of the quickstart, and its optimizer steps.

    Args:
        epochs: its length; 8 steps each, and a decision.
        folder: where it may write.
    """
    took: dict[str, list[float]] = defaultdict(list)

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def measured(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                took[name].append(time.thread_time() - began)

        return measured

    L.seed_everything(0, verbose=False)
    network = MLP(64, 10, (512, 512), lambda: Dropout(0.1))
    logs = {"log_decision": "decisions", "finish_logs": "at the end"}
    hooks = {name: timed(name, getattr(DropoutRateControl, name)) for name in HOOKS}
    with (
        mock.patch.multiple(DropoutRateControl, **hooks),
        mock.patch.multiple(control, **{name: timed(part, getattr(control, name)) for name, part in logs.items()}),
        mock.patch.object(ControlLoop, "_write", timed("decisions", ControlLoop._write)),
    ):
        watch = DropoutRateMonitor.on_train_batch_end
        with mock.patch.object(DropoutRateMonitor, "on_train_batch_end", timed("rates between decisions", watch)):
            trainer = L.Trainer(
                max_epochs=epochs, log_every_n_steps=10, enable_model_summary=False, enable_progress_bar=False,
                callbacks=[DropoutRateControl(RewindController()), DropoutRateMonitor()],
                logger=WandbLogger(save_dir=str(folder)), default_root_dir=folder,
            )  # fmt: skip
            timed("run", trainer.fit)(Classifier(network, num_classes=10), Digits(n_train=500))
    spent = {name: sum(parts) for name, parts in took.items() if name not in HOOKS}
    # By the median: at its first step a run also finds the monitor, and copies the untrained network.
    spent["hooks of each step"] = sum(statistics.median(took[name]) * len(took[name]) for name in HOOKS)
    return spent, trainer.global_step


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control.logging_cost", description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["WANDB_MODE"] = "offline"
    os.environ["WANDB_SILENT"] = "true"
    with tempfile.TemporaryDirectory() as folder:
        seconds(2, Path(folder))  # the kernels are compiled
        wandb.finish()
        spent, steps = seconds(options.epochs, Path(folder))
    step = (spent["run"] - spent["at the end"]) / steps
    print(f"{steps} steps of {1e3 * step:.2f} ms on one thread, validations included.\n")
    print("| what | ms a step | % of a step |\n| --- | --- | --- |")
    for name in ("hooks of each step", "rates between decisions", "decisions"):
        cost = spent[name] / steps
        print(f"| {name} | {1e3 * cost:.3f} | {100 * cost / step:.2f} |")
    print(f"\nTable, figure and summary at the end: {spent['at the end']:.2f} s.")


if __name__ == "__main__":
    main()
