from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.controllers import State
from adaptive_dropout.tracking import read_run, replay
from tests.callbacks.toy import Memory, Toy, fit, loader

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),  # resumed without the ModelCheckpoint
]


@dataclass(frozen=True)
class Log(State):
    """Remembers every signal it was given."""

    signals: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class Recorder(ad.Controller):
    """Adds 0.1 a decision."""

    def init(self, rates: Mapping[str, float]) -> Log:
        return Log(dict(rates))

    def update(self, state: State, signals: Mapping[str, float]) -> State:
        assert isinstance(state, Log)
        rates = {name: min(p + 0.1, 1.0) for name, p in state.rates.items()}
        return replace(state, rates=rates, signals=(*state.signals, dict(signals)))


def signals_of(control: DropoutRateControl) -> tuple[dict[str, float], ...]:
    assert isinstance(control.state, Log)
    return control.state.signals


def test_each_validation_is_one_decision_on_the_mean_training_loss_since_the_last(tmp_path: Path) -> None:
    control, model = DropoutRateControl(Recorder()), Toy([5.0, 4.0, 3.0])
    fit(model, tmp_path, [control], num_sanity_val_steps=2)
    signals = signals_of(control)
    assert [s["val_loss"] for s in signals] == [5.0, 4.0, 3.0]  # the sanity check's 99 is no signal
    assert [s["train_loss"] for s in signals] == [2.5, 6.5, 10.5]
    assert [s["step"] for s in signals] == [4, 8, 12]
    assert [s["epoch"] for s in signals] == [0, 1, 2]
    assert {s["total_steps"] for s in signals} == {12}
    assert {s["val_accuracy"] for s in signals} == {0.5}
    assert model.seen == pytest.approx([0.3] * 4 + [0.4] * 4 + [0.5] * 4)
    assert model.drop.p == pytest.approx(0.6)


def test_several_validations_an_epoch_are_several_decisions(tmp_path: Path) -> None:
    control = DropoutRateControl(Recorder())
    fit(Toy([1.0]), tmp_path, [control], val_check_interval=2, max_epochs=2)
    assert [s["train_loss"] for s in signals_of(control)] == [1.5, 3.5, 5.5, 7.5]


def test_accumulation_leaves_the_training_loss_as_it_is(tmp_path: Path) -> None:
    control = DropoutRateControl(Recorder())
    fit(Toy([1.0]), tmp_path, [control], accumulate_grad_batches=2, max_epochs=2)
    assert [s["train_loss"] for s in signals_of(control)] == [2.5, 6.5]
    assert [s["step"] for s in signals_of(control)] == [2, 4]


def test_manual_optimization_works(tmp_path: Path) -> None:
    class Manual(Toy):
        automatic_optimization = False

        def training_step(self, batch: torch.Tensor, batch_idx: int) -> dict[str, Any]:
            loss = super().training_step(batch, batch_idx)
            self.optimizers().step()
            return {"loss": loss}

    model, control = Manual([1.0]), DropoutRateControl(Recorder())
    model.automatic_optimization = False
    fit(model, tmp_path, [control], max_epochs=1)
    assert signals_of(control)[0]["train_loss"] == 2.5


def test_validate_alone_decides_nothing(tmp_path: Path) -> None:
    control, model = DropoutRateControl(Recorder()), Toy([1.0])
    run = fit(model, tmp_path, [control], max_epochs=1)
    run.validate(model, loader(1), verbose=False)
    assert len(signals_of(control)) == 1


def test_every_number_of_the_state_is_logged_at_the_training_steps_own_step(tmp_path: Path) -> None:
    logger = Memory()
    control = DropoutRateControl(ad.PlateauController(patience=1))
    fit(Toy([1.0, 2.0, 3.0]), tmp_path, [control], logger=logger)
    rates = logger.series("dropout/drop")
    assert [step for step, _ in rates] == [3, 7, 11]
    assert [step for step, _ in logger.series("val_loss")] == [3, 7, 11]
    assert rates[-1][1] == control.state.rates["drop"]  # type: ignore[union-attr]
    assert logger.series("dropout_control/best") == [(3, 1.0), (7, 1.0), (11, 1.0)]
    assert logger.series("dropout_control/improved") == [(3, 1.0), (7, 0.0), (11, 0.0)]
    assert logger.series("dropout_control/gap") == [(3, -1.5), (7, -4.5), (11, -7.5)]


def test_a_resumed_run_makes_the_decisions_of_the_unbroken_one(tmp_path: Path) -> None:
    losses = [3.0, 2.0, 2.5, 2.6, 2.7, 2.8]
    controller = ad.PlateauController(patience=2)
    whole = DropoutRateControl(controller)
    fit(Toy(losses), tmp_path, [whole], max_epochs=6)

    checkpoint = ModelCheckpoint(tmp_path / "saved", save_last=True)
    fit(Toy(losses), tmp_path, [DropoutRateControl(controller), checkpoint], max_epochs=4, enable_checkpointing=True)
    resumed, model = DropoutRateControl(controller), Toy(losses[4:])
    model.batches = 16
    fit(model, tmp_path, [resumed], max_epochs=6, ckpt_path=tmp_path / "saved" / "last.ckpt", num_sanity_val_steps=0)
    assert resumed.state == whole.state
    assert model.drop.p == whole.state.rates["drop"]  # type: ignore[union-attr]


def test_the_checkpoint_holds_plain_types_only(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / "saved", filename="c")
    fit(
        Toy([1.0]),
        tmp_path,
        [DropoutRateControl(ad.PlateauController()), checkpoint],
        max_epochs=1,
        enable_checkpointing=True,
    )
    saved = torch.load(tmp_path / "saved" / "c.ckpt", weights_only=True)
    (state,) = (v for k, v in saved["callbacks"].items() if k.startswith("DropoutRateControl"))
    assert state["loop"]["state"]["rates"] == {"drop": 0.3}


def test_the_key_in_a_checkpoint_outlives_a_change_of_the_settings() -> None:
    a, b = (DropoutRateControl(ad.PlateauController(change=change)) for change in (0.01, 0.05))
    assert a.state_key == b.state_key
    assert a.state_key != DropoutRateControl(ad.PlateauController(), monitor="val_f1").state_key


def resume_after_two_epochs(folder: Path, first: ad.Controller, second: ad.Controller) -> DropoutRateControl:
    """Train two epochs with one controller, go on for a third with another, and return the second control."""
    saves = ModelCheckpoint(folder / "saved", filename="c")
    fit(Toy([1.0]), folder, [DropoutRateControl(first), saves], max_epochs=2, enable_checkpointing=True)
    control = DropoutRateControl(second)
    fit(Toy([1.0]), folder, [control], max_epochs=3, ckpt_path=folder / "saved" / "c.ckpt")
    return control


def test_a_run_resumed_with_a_changed_setting_goes_on_and_says_what_changed(tmp_path: Path) -> None:
    moved, slower = (ad.GapController(low=-9.0, high=-8.0, change=change) for change in (0.1, 0.01))
    with pytest.warns(UserWarning, match=r"another controller than the checkpoint's: change is 0.01, not 0.1"):
        control = resume_after_two_epochs(tmp_path, moved, slower)
    run = read_run(tmp_path)
    assert [d.after["drop"] for d in run.decisions] == pytest.approx([0.4, 0.5, 0.51])
    assert control.state is not None
    assert control.state.rates == run.decisions[-1].after
    assert not list(tmp_path.glob("decisions-*")), "the file was set aside"
    assert [state.rates for state in replay(run, moved)[1:]] == [d.after for d in run.decisions]


def test_a_run_resumed_with_another_rule_keeps_its_rates(tmp_path: Path) -> None:
    first = ad.GapController(low=-9.0, high=-8.0, change=0.1)
    changed = pytest.warns(UserWarning, match=r"adaptive_dropout.PlateauController instead of .*\.GapController")
    with changed, pytest.warns(UserWarning, match="the controller's memory begins anew"):
        control = resume_after_two_epochs(tmp_path, first, ad.PlateauController())
    assert control.state is not None
    assert control.state.rates == {"drop": pytest.approx(0.5)}
    run = read_run(tmp_path)
    assert [state.rates for state in replay(run, first)[1:]] == [d.after for d in run.decisions]


def test_a_state_for_other_rates_is_refused(tmp_path: Path) -> None:
    control = DropoutRateControl(Recorder())
    fit(Toy([1.0]), tmp_path, [control, ModelCheckpoint(tmp_path / "saved", filename="c")], enable_checkpointing=True)

    class Renamed(Toy):
        def __init__(self) -> None:
            super().__init__([1.0])
            self.other = ad.Dropout(0.3)

    with pytest.raises(ValueError, match=r"saved for the rates \['drop'\]; the model has \['drop', 'other'\]"):
        fit(Renamed(), tmp_path, [control], max_epochs=9, ckpt_path=tmp_path / "saved" / "c.ckpt")


def test_a_missing_monitor_is_told_before_training_with_the_metrics_there_are(tmp_path: Path) -> None:
    model = Toy([1.0])
    with pytest.raises(KeyError, match=r"monitor 'valid' is not logged; the metrics .* \['val_accuracy', 'val_loss'\]"):
        fit(model, tmp_path, [DropoutRateControl(Recorder(), monitor="valid")])
    assert model.batches == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_monitor_that_is_not_finite_is_told_once_and_the_run_goes_on(tmp_path: Path, value: float) -> None:
    model, control = Toy([value]), DropoutRateControl(ad.PlateauController(patience=1))
    expected = f"no decision: val_loss is {value} at step 4; lower the learning rate"
    with pytest.warns(UserWarning, match=expected) as told:
        fit(model, tmp_path, [control])
    assert len([warning for warning in told if "no decision" in str(warning.message)]) == 1
    assert model.batches == 12
    assert model.drop.p == 0.3


def test_a_model_without_rates_is_told_before_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"finds no SettableRate in the model .*no dropout layer of adaptive_dropout"):
        fit(Toy([1.0], nn.Dropout(0.3)), tmp_path, [DropoutRateControl(Recorder())])
    with pytest.raises(ValueError, match=r"its rates are {'drop': 'LearnedRate'}"):
        fit(Toy([1.0], ad.ConcreteDropout(0.3)), tmp_path, [DropoutRateControl(Recorder())])


def test_a_run_without_validation_is_told_before_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="decides after each validation, but this run has none"):
        fit(Toy([1.0]), tmp_path, [DropoutRateControl(Recorder())], limit_val_batches=0)


def test_what_is_no_controller_is_refused() -> None:
    with pytest.raises(TypeError, match="has to be a Controller"):
        DropoutRateControl(0.5)  # type: ignore[arg-type]


def test_weight_averaging_leaves_the_rates_true(tmp_path: Path) -> None:
    control, model = DropoutRateControl(Recorder()), Toy([1.0])
    averaging = WeightAveraging()
    fit(model, tmp_path, [averaging, control])
    assert model.drop.p == pytest.approx(0.6)
    assert model.drop.rate.value.item() == pytest.approx(0.6)  # an average over the buffers would be below 0.5
    assert model.seen == pytest.approx([0.3] * 4 + [0.4] * 4 + [0.5] * 4)


class TwoRanks(Toy):
    """Each rank has a validation loss of its own, and writes down the rate of every step."""

    def __init__(self, folder: Path) -> None:
        super().__init__([1.0])
        self.folder = folder

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("val_loss", float(self.global_rank), sync_dist=True)

    def on_train_end(self) -> None:
        (self.folder / f"rank{self.global_rank}").write_text(repr(self.seen))


def test_two_processes_hold_equal_rates_at_every_step(tmp_path: Path) -> None:
    control = DropoutRateControl(ad.GapController(low=-9.0, high=-8.0, change=0.1))
    fit(TwoRanks(tmp_path), tmp_path, [control], strategy="ddp_fork", devices=2, num_sanity_val_steps=0)
    first, second = ((tmp_path / f"rank{rank}").read_text() for rank in (0, 1))
    assert first == second
    assert len(set(eval(first))) == 3, "the rates never moved"


def test_callbacks_never_shadow_the_names_lightning_overwrites() -> None:
    # Lightning assigns callback.log and callback.log_dict.
    assert not {"log", "log_dict"} & set(vars(DropoutRateControl))
    assert issubclass(DropoutRateControl, L.Callback)
