"""How many files one decision enters in a Lightning run: what a reader has to open to follow it from hook to rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateControl
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import fit
from tests.entered import files_entered

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
]

THE_MODEL = ("functional/", "modules/", "noise/", "networks/", "tasks/", "probability.py")
"""Rooms of the model that is validated, entered by its forward pass."""

BOTH = {
    "callbacks/control.py", "callbacks/record.py", "callbacks/trainer.py", "callbacks/meters/averaging.py",
    "callbacks/meters/measurement.py",
    "callbacks/meters/monitored.py", "callbacks/meters/train_loss.py", "checks.py", "controllers/base.py",
    "controllers/moves.py", "controllers/reading.py",
    "rates/kinds.py", "rates/model.py", "signals/running_loss.py", "steering/loop.py",
    "steering/uninterrupted.py",
    "tracking/compact.py", "tracking/decisions.py", "tracking/names.py", "tracking/packed.py", "transfer.py",
}  # fmt: skip
CLEAN_LOSS = {
    "callbacks/isolated/copying.py", "callbacks/isolated/guard.py", "callbacks/isolated/silent_trainer.py",
    "callbacks/isolated/validation.py", "callbacks/losses.py", "callbacks/meters/base.py",
    "callbacks/meters/batches.py",
    "callbacks/meters/clean_loss.py", "callbacks/meters/examples.py", "callbacks/meters/untrained.py",
    "callbacks/packages.py", "contexts.py",
    "inference/mc_mode.py", "layouts.py", "signals/clean_loss.py", "signals/footing.py",
}  # fmt: skip
REWIND = {
    "controllers/addition.py", "controllers/chain.py", "controllers/curves.py", "controllers/diagnosis.py",
    "controllers/restart.py", "controllers/rewind.py",
}  # fmt: skip
WEIGHTS = {"steering/rewinder.py", "steering/snapshot.py", "nested.py"}


class Traced(L.Callback):
    """Runs the end of each validation of ``control`` under the tracer, and keeps all files entered."""

    def __init__(self, control: DropoutRateControl) -> None:
        self.files: set[str] = set()
        decide = control.on_validation_end

        def traced(trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            with files_entered() as found:
                decide(trainer, pl_module)
            self.files |= {file for file in found if not file.startswith(THE_MODEL)}

        control.on_validation_end = traced  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("control", "dropout", "files"),
    [
        (
            lambda: DropoutRateControl(ad.PlateauController(patience=1, min_delta=9.0)),
            ad.Dropout,
            {*BOTH, "controllers/plateau.py"},
        ),
        pytest.param(AdaptiveDropout, nn.Dropout, BOTH | CLEAN_LOSS | REWIND | WEIGHTS, marks=pytest.mark.slow),
    ],
    ids=["plateau", "default"],
)
def test_the_decisions_of_a_run_enter_these_files_only(
    control: Any, dropout: Any, files: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steering = control()
    traced = Traced(steering)
    fit(Classifier(MLP(64, 10, (8,), lambda: dropout(0.3)), 10), tmp_path, [steering, traced], max_epochs=8)
    assert len({tuple(decision.after.values()) for decision in steering.run.decisions}) > 1, "the rates never moved"
    assert traced.files == files
