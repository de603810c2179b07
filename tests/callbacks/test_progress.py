"""What the progress bar shows of the rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutProgressBar, DropoutRateControl, DropoutRateMonitor
from adaptive_dropout.controllers import State
from tests.callbacks.toy import Toy, fit


@dataclass(frozen=True)
class Moves(ad.Controller):
    """Up, nothing, and down with a rewind: one at each validation, told by its step."""

    def init(self, rates: Mapping[str, float]) -> State:
        return State(rates)

    def update(self, state: State, signals: Mapping[str, float]) -> State:
        p = {4: 0.5, 8: 0.5, 12: 0.2}[int(signals["step"])]
        back = p == 0.2
        return replace(state, rates=dict.fromkeys(state.rates, p), rewind=back, reason="[stalled]: lowered" * back)


class Shown(L.Callback):
    """Keeps what the bar shows after each epoch."""

    def __init__(self, bar: DropoutProgressBar) -> None:
        self.bar = bar
        self.metrics: list[dict[str, Any]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.metrics.append(self.bar.get_metrics(trainer, pl_module))


def run(folder: Path, *callbacks: L.Callback) -> list[dict[str, Any]]:
    bar = DropoutProgressBar()
    shown = Shown(bar)
    fit(Toy([3.0, 9.0, 20.0]), folder, [*callbacks, bar, DropoutRateMonitor(), shown], enable_progress_bar=True)
    return shown.metrics


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_it_shows_mean_rate_gap_and_last_decision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = run(tmp_path, DropoutRateControl(Moves()))
    assert [m["decision"] for m in metrics] == ["raised", "kept", "rewound, lowered"]
    # the training losses of an epoch of four batches are 1..4, 5..8 and 9..12
    assert [m["gap"] for m in metrics] == pytest.approx([3 - 2.5, 9 - 6.5, 20 - 10.5])
    assert [m["dropout"] for m in metrics] == pytest.approx([0.3, 0.5, 0.5])
    output = capsys.readouterr().out
    assert output.count("step 12: [stalled]: lowered\n") == 1
    assert "decision: rewound" in output
    assert "\x1b[" not in output


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_without_a_control_there_is_no_decision(tmp_path: Path) -> None:
    assert ["decision" in shown for shown in run(tmp_path)] == [False, False, False]
