"""Rewinds in real Lightning runs: what comes back, what goes on, and what a resumed run repeats."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateControl
from adaptive_dropout.controllers import State
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import FewDigits, Measuring, Script, StopAfter, Watch, adaptive_run, fit, task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
]


def test_a_rewind_brings_back_weights_and_moments_and_nothing_else(tmp_path: Path) -> None:
    watch, plain = Watch(), Watch()
    schedule = lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)  # noqa: E731
    run = fit(task(lr_scheduler=schedule), tmp_path, [DropoutRateControl(Measuring("i..r.")), watch])
    fit(task(lr_scheduler=schedule), tmp_path, [DropoutRateControl(Measuring("i....")), plain])
    assert torch.equal(watch.weights[3], watch.weights[0])
    assert torch.equal(watch.moments[3], watch.moments[0])
    assert not torch.equal(plain.weights[3], plain.weights[0])
    assert run.global_step == 20
    assert watch.lrs == plain.lrs == [1e-3 * 0.5**n for n in range(1, 6)]
    assert all(torch.equal(a, b) for a, b in zip(watch.batches, plain.batches, strict=True)), "the data order changed"


def test_a_restart_brings_back_the_initial_weights_and_a_fresh_optimizer(tmp_path: Path) -> None:
    watch, model = Watch(), task()
    initial = next(model.network.parameters()).detach().clone()
    fit(model, tmp_path, [DropoutRateControl(Script("i.s..")), watch])
    assert torch.equal(watch.weights[2], initial)
    assert not watch.moments[2].any()
    assert not torch.equal(watch.weights[3], initial)


def test_batch_norm_comes_back_too(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), ad.Dropout(0.1), nn.Linear(8, 10))
    seen: list[torch.Tensor] = []

    class Mean(L.Callback):
        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            seen.append(network[2].running_mean.clone())

    fit(Classifier(network, 10), tmp_path, [DropoutRateControl(Script("i.r..")), Mean()])
    assert torch.equal(seen[3], seen[1])
    assert not torch.equal(seen[2], seen[1])


def test_a_loss_that_does_not_depend_on_the_data_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    class Late(Classifier):
        def validation_step(self, batch: Any, batch_idx: int) -> None: ...

        def on_validation_epoch_end(self) -> None:
            self.log("val_loss", 1.5)

    model = Late(MLP(64, 10, (8,), lambda: ad.Dropout(0.3)), 10)
    with pytest.warns(UserWarning, match="validation_step gives the same loss whichever data it gets"):
        fit(model, tmp_path, [DropoutRateControl(ad.RewindController())])
    assert model.trainer.current_epoch == 5


def test_few_validations_are_warned_of_with_the_number_to_set(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"validates 5 times.* at least 20 validations; set val_check_interval to 1 "):
        fit(task(), tmp_path, [DropoutRateControl(ad.RewindController())])


def test_a_diverged_run_goes_back_with_less_noise(tmp_path: Path) -> None:
    class Explodes(Classifier):
        def on_train_epoch_start(self) -> None:
            if self.current_epoch == 2:
                with torch.no_grad():
                    self.network.linear1.weight.fill_(float("nan"))

    torch.manual_seed(3)
    control, model = DropoutRateControl(ad.RewindController()), None
    model = Explodes(MLP(64, 10, (32,), lambda: ad.Dropout(0.3)), 10)
    fit(model, tmp_path, [control])
    assert control.state is not None
    assert control.state.rewinds == 1  # type: ignore[attr-defined]
    assert 0 < model.network.dropout1.p < 0.3
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_run_resumed_after_a_rewind_is_the_unbroken_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, model = adaptive_run(tmp_path)
    saves = ModelCheckpoint(tmp_path / "saved", filename="last", save_on_train_epoch_end=True)
    broken, _ = adaptive_run(tmp_path, saves, StopAfter(15), enable_checkpointing=True)
    assert broken.state is not None
    assert broken.state.rewinds >= 1  # type: ignore[attr-defined]
    resumed, again = adaptive_run(tmp_path, ckpt_path=tmp_path / "saved" / "last.ckpt")
    assert resumed.state == whole.state
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_second_fit_with_the_same_callback_starts_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adaptive, states = AdaptiveDropout(), []
    for _ in range(2):
        model = task(optimizer=functools.partial(torch.optim.Adam, lr=0.02))
        torch.manual_seed(5)
        fit(model, tmp_path, [adaptive], max_epochs=20)
        states.append(adaptive.state)
    assert states[0] is not states[1]
    assert states[0] == states[1]


def test_it_steers_torchs_own_layers_and_leaves_the_best_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(3)
    model = Classifier(MLP(64, 10, (32,), lambda: nn.Dropout(0.3)), 10)
    adaptive = AdaptiveDropout()
    run = fit(model, tmp_path, [adaptive], max_epochs=12)
    (metrics,) = run.validate(model, FewDigits(), verbose=False)
    assert metrics["val_loss"] == pytest.approx(adaptive.state.best, rel=1e-5)  # type: ignore[union-attr]
    said = capsys.readouterr().out
    assert "dropout rates found" in said
    assert "network.dropout1" in said


def test_lightning_and_a_plain_loop_decide_the_same_on_the_same_signals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log: list[dict[str, float]] = []

    @dataclass(frozen=True)
    class Heard(ad.RewindController):
        def update(self, state: State, signals: Mapping[str, float]) -> Any:
            log.append(dict(signals))
            return super().update(state, signals)

    control = DropoutRateControl(Heard())
    fit(task(), tmp_path, [control], max_epochs=12)
    state = ad.RewindController().init({"network.dropout1": 0.3})
    for signals in log:
        state = ad.RewindController().update(state, signals)
    assert state == control.state


class TwoRanks(Classifier):
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.__dict__.setdefault("seen", []).append(self.network.dropout1.p)

    def on_train_end(self) -> None:
        first = self.network.linear1.weight.detach().sum().item()
        (Path(self.trainer.default_root_dir) / f"rank{self.global_rank}").write_text(repr((self.seen, first)))


def test_two_processes_rewind_together(tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = TwoRanks(MLP(64, 10, (32,), lambda: ad.Dropout(0.3)), 10)
    control = DropoutRateControl(ad.RewindController())
    fit(model, tmp_path, [control], strategy="ddp_fork", devices=2, max_epochs=30)
    (rates, weight), (others, other) = (eval((tmp_path / f"rank{rank}").read_text()) for rank in (0, 1))
    assert rates == others
    assert len(set(rates)) > 2, "the rates never moved"
    assert weight == other
