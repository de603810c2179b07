"""The hypergradient and the response, measured in real Lightning runs."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.controllers import State
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import FewDigits, StopAfter, fit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
]

KINDS = ["hypergradient", "response"]


@dataclass(frozen=True)
class Heard(State):
    log: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class Listener(ad.Controller):
    """Asks for signals, writes them down, and moves nothing."""

    asks: tuple[str, ...] = ()

    def needs(self) -> frozenset[str]:
        return frozenset(self.asks)

    def init(self, rates: Mapping[str, float]) -> Heard:
        return Heard(dict(rates))

    def update(self, state: State, signals: Mapping[str, float]) -> State:
        assert isinstance(state, Heard)
        return replace(state, log=(*state.log, dict(signals)))


def log_of(control: DropoutRateControl) -> tuple[dict[str, float], ...]:
    assert isinstance(control.state, Heard)
    return control.state.log


def task(p: float = 0.3, wide: int = 32, **settings: Any) -> Classifier:
    torch.manual_seed(3)
    return Classifier(MLP(64, 10, (wide, wide), lambda: ad.Dropout(p)), 10, **settings)


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_resumed_in_mid_window_is_the_unbroken_run(tmp_path: Path, kind: str) -> None:
    controller = {"hypergradient": ad.HypergradientController(), "response": ad.ResponseController()}[kind]
    settings = {"max_epochs": 8, "check_val_every_n_epoch": 2}

    def run(*callbacks: L.Callback, **more: Any) -> tuple[DropoutRateControl, Tensor]:
        model, control = task(), DropoutRateControl(controller)
        fit(model, tmp_path, [control, *callbacks], **settings | more)
        return control, weights(model)

    whole, expected = run()
    saves = ModelCheckpoint(tmp_path / "saved", filename="last", save_on_train_epoch_end=True)
    run(saves, StopAfter(5), enable_checkpointing=True)
    resumed, found = run(ckpt_path=tmp_path / "saved" / "last.ckpt")
    assert whole.state is not None
    assert whole.state.rates["network.dropout1"] != 0.3
    assert resumed.state == whole.state
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_validation_is_measured_on_from_another_part_each_time(tmp_path: Path, kind: str) -> None:
    seen: list[Tensor] = []

    class Watching(Classifier):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            if torch.is_grad_enabled():
                assert not self.training
                seen.append(batch[0].clone())
            super().validation_step(batch, batch_idx)

    torch.manual_seed(3)
    model = Watching(MLP(64, 10, (8,), lambda: ad.Dropout(0.3)), 10)
    data = FewDigits()
    data.setup()
    validation = {x.numpy().tobytes() for x, _ in data.val_set}
    fit(model, tmp_path, [DropoutRateControl(Listener((kind,)))])
    assert not {x.numpy().tobytes() for x in seen[0]} & validation  # no validation yet: unseen training data
    pieces = [{x.numpy().tobytes() for x in piece} for piece in seen[1:]]
    assert len(pieces) == 4
    assert all(piece <= validation for piece in pieces)
    assert len(set.union(*pieces)) == sum(len(piece) for piece in pieces)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_steers_and_can_be_replayed_without_a_model(tmp_path: Path, kind: str) -> None:
    log: list[dict[str, float]] = []
    rule = {"hypergradient": ad.HypergradientController(), "response": ad.ResponseController()}[kind]

    @dataclass(frozen=True)
    class Overheard(ad.RewindController):
        def update(self, state: State, signals: Mapping[str, float]) -> Any:
            log.append(dict(signals))
            return super().update(state, signals)

    control, model = DropoutRateControl(Overheard(rule)), task(optimizer=functools.partial(torch.optim.Adam, lr=0.01))
    fit(model, tmp_path, [control], max_epochs=25)
    state = ad.RewindController(rule).init({"network.dropout1": 0.3, "network.dropout2": 0.3})
    for signals in log:
        state = ad.RewindController(rule).update(state, signals)
    assert state == control.state
    assert state.rates == ad.get_rates(model)
    assert state.rates["network.dropout1"] != state.rates["network.dropout2"]


@pytest.mark.parametrize("kind", KINDS)
def test_manual_optimization_is_told_before_anything_is_trained(tmp_path: Path, kind: str) -> None:
    class Manual(Classifier):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            raise AssertionError("a batch was trained on")

    model = Manual(MLP(64, 10, (8,), lambda: ad.Dropout(0.3)), 10)
    model.automatic_optimization = False
    with pytest.raises(ValueError, match=f"the {kind} needs a training_step that returns one loss, but Manual"):
        fit(model, tmp_path, [DropoutRateControl(Listener((kind,)))])


@pytest.mark.parametrize("kind", KINDS)
def test_a_detached_validation_loss_is_told_before_anything_is_trained(tmp_path: Path, kind: str) -> None:
    class Detached(Classifier):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", self.loss(self(batch[0]), batch[1]).item())

    model = Detached(MLP(64, 10, (8,), lambda: ad.Dropout(0.3)), 10)
    with pytest.raises(ValueError, match=r"validation_step has to log 'val_loss' itself, .* to be differentiated"):
        fit(model, tmp_path, [DropoutRateControl(Listener((kind,)))])
    assert model.trainer.global_step == 0


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the controller needs \['luck'\], but only \['clean_loss', 'hypergradient'"):
        DropoutRateControl(Listener(("luck",)))


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_precisions_are_measured(tmp_path: Path, kind: str, precision: Any) -> None:
    control = DropoutRateControl(Listener((kind,)))
    fit(task(), tmp_path, [control], precision=precision, accumulate_grad_batches=2)
    measured = [signals[f"{kind}/network.dropout1"] for signals in log_of(control)]
    assert all(map(math.isfinite, measured))
    assert len({*measured}) == 5


@pytest.mark.filterwarnings("ignore:.*float16.*")
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ValueError, match="is too small for precision '16-true'; use 'bf16-mixed' or '32-true'"):
        fit(task(), tmp_path, [DropoutRateControl(Listener((kind,)))], precision="16-true")


class TwoRanks(Classifier):
    def on_train_end(self) -> None:
        (Path(self.trainer.default_root_dir) / f"rank{self.global_rank}").write_text(
            repr((ad.get_rates(self), weights(self).sum().item()))
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_follow_the_same_gradients(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(3)
    model = TwoRanks(MLP(64, 10, (32,), lambda: ad.Dropout(0.3)), 10)
    rule = {"hypergradient": ad.HypergradientController(), "response": ad.ResponseController()}[kind]
    fit(model, tmp_path, [DropoutRateControl(rule)], strategy="ddp_fork", devices=2, max_epochs=6)
    first, second = ((tmp_path / f"rank{rank}").read_text() for rank in (0, 1))
    assert first == second
    assert eval(first)[0] != {"network.dropout1": 0.3}
