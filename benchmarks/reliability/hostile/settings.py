"""Configurations of the command line: ``fit`` with one that is spoilt, for one batch if it can be read."""

from __future__ import annotations

import contextlib
import io
import random
from pathlib import Path

from adaptive_dropout.cli import main
from benchmarks.reliability.hostile.feeding import Case
from benchmarks.reliability.hostile.spoiling import spoil

__all__ = ["CASES"]

CONFIG = """\
seed_everything: 3
data: {class_path: adaptive_dropout.data.Digits, init_args: {n_train: 100, batch_size: 32, label_noise: 0.1}}
model:
  class_path: adaptive_dropout.tasks.Classifier
  init_args:
    num_classes: 10
    network:
      class_path: adaptive_dropout.networks.MLP
      init_args:
        in_features: 64
        out_features: 10
        hidden: [16, 16]
        dropout: {class_path: adaptive_dropout.Dropout, init_args: {p: 0.3}}
trainer:
  max_epochs: 1
  log_every_n_steps: 1
  callbacks:
    - class_path: adaptive_dropout.callbacks.DropoutRateControl
      init_args:
        controller:
          class_path: adaptive_dropout.Clip
          init_args: {controller: {class_path: adaptive_dropout.PlateauController, init_args: {patience: 2}}, high: 0.5}
"""


def write(rng: random.Random, folder: Path) -> None:
    """Write a spoilt configuration. A line of 100 MB is left out: YAML takes minutes for it, of whoever wrote it."""
    (folder / "x.yaml").write_bytes(spoil(rng, CONFIG.encode(), long=0.0))


def read(folder: Path) -> None:
    """Train for one batch; check the exit code, and that an error is one line."""
    forced = {"accelerator": "cpu", "devices": "1", "logger": "false", "fast_dev_run": "true"}
    options = [f"--trainer.{name}={value}" for name, value in forced.items()]
    with contextlib.redirect_stderr(io.StringIO()) as told:
        code = main(["fit", "--quiet", "--config", str(folder / "x.yaml"), *options])
    assert code in (0, 2), f"exit code {code}"
    if code == 2:
        last = told.getvalue().rstrip("\n").rpartition("\n")[2]
        assert last.startswith("adaptive-dropout: error: "), f"no line of ours at the end: {last}"
    assert "Traceback" not in told.getvalue(), told.getvalue()


CASES = [Case("configuration", write, read, located=False, seconds=60.0)]
