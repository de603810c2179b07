"""The training loss with dropout on, where the clean loss cannot be measured."""

from __future__ import annotations

import pytest

from adaptive_dropout.callbacks.meters.stand_in import StandIn


def test_its_gap_and_its_fall_since_the_best_validation_are_in_standard_errors() -> None:
    stand_in = StandIn()
    assert stand_in.signals(1.0, []) == {}
    stand_in.take({"train_loss": 0.8, "train_loss_error": 0.03})
    assert stand_in.signals(1.0, [0.96, 1.04]) == {"gap_z": pytest.approx(0.2 / 0.05)}
    stand_in.mark()
    stand_in.take({"train_loss": 0.6, "train_loss_error": 0.04})
    assert stand_in.signals(1.0, [])["clean_drop_z"] == pytest.approx(0.2 / 0.05)


def test_it_goes_on_from_a_checkpoint() -> None:
    first, second = StandIn(), StandIn()
    first.take({"train_loss": 0.8})
    first.mark()
    second.load_state_dict(first.state_dict())
    for each in (first, second):
        each.take({"train_loss": 0.5, "train_loss_error": 0.1})
    assert second.signals(1.0, []) == first.signals(1.0, [])
