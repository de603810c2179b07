"""Signals that no training should give: rates stay probabilities, states stay JSON, and an error names the signal."""

from __future__ import annotations

import json
import math
import pickle

import pytest

from adaptive_dropout.controllers import (
    GapController,
    HypergradientController,
    RewindController,
    SlopeController,
    state_to_dict,
)
from adaptive_dropout.controllers.base import update_safely
from adaptive_dropout.controllers.diagnosis import steps_until_stalled
from adaptive_dropout.controllers.reading import BrokenSignalError
from benchmarks.reliability.updates import attempt

RATES = {"fc": 0.3}
LOSSES = {"train_loss": 1.0, "clean_loss": 1.0, "val_loss": 1.0, "step": 1, "total_steps": 100}


def test_a_thousand_updates_of_every_rule_keep_every_promise() -> None:
    assert attempt(0, None, updates=1_300).failures == ()


@pytest.mark.slow
def test_ten_thousand_updates_of_every_rule_keep_every_promise() -> None:
    assert attempt(1, None, updates=10_000).failures == ()


@pytest.mark.parametrize("loss", [1e308, -1e308, math.nan, math.inf, 10**400], ids=str)
def test_a_loss_that_no_sum_can_hold_has_diverged(loss: float) -> None:
    rewinding = RewindController()
    state = update_safely(rewinding, rewinding.init(RATES), LOSSES)
    assert update_safely(rewinding, state, LOSSES | {"val_loss": loss}).rewind
    stays = update_safely(rewinding, state, LOSSES | {"train_loss": loss})
    assert stays.reason.startswith("no decision: train_loss is ")
    json.dumps(state_to_dict(stays), allow_nan=False)


def test_a_gradient_that_diverged_leaves_the_rates() -> None:
    controller = HypergradientController()
    signals = LOSSES | {"hypergradient/fc": math.nan}
    state = update_safely(controller, controller.init(RATES), signals)
    assert state.reason == "no decision: hypergradient/fc is nan"


def test_a_score_that_is_nan_does_not_pass_for_harder_data() -> None:
    controller = RewindController()
    state = update_safely(controller, controller.init(RATES), LOSSES | {"clean_loss": 2.0, "gap_z": math.nan})
    assert state.reason == "no decision: gap_z is nan"


def test_the_slope_needs_no_total() -> None:
    controller = SlopeController(window=3)
    state = controller.init(RATES)
    for step in range(5):
        state = controller.update(state, LOSSES | {"step": step, "total_steps": 0})
    assert state.step == 4


@pytest.mark.parametrize("wrong", [None, "0.5", [1.0], True, 1j], ids=repr)
def test_a_signal_that_is_no_number_is_named(wrong: object) -> None:
    controller = GapController()
    with pytest.raises(TypeError, match=r"^signal 'val_loss' has to be a number, but got "):
        update_safely(controller, controller.init(RATES), LOSSES | {"val_loss": wrong})  # type: ignore[dict-item]


def test_a_thousand_fruitless_rewinds_wait_for_a_third_of_what_is_left() -> None:
    assert steps_until_stalled(age=400, interval=20, fruitless=5000, left=3000) == 1000.0


def test_the_error_can_be_sent_to_another_process() -> None:
    error = BrokenSignalError("val_loss", 1e200)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error) == "signal 'val_loss' has to be a number of at most 1e+100, but got 1e+200"
