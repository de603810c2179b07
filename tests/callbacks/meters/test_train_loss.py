"""The training loss on validation's terms, measured only where training returns another loss, and as a stand-in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adaptive_dropout.callbacks.meters.train_loss import OwnTrainLoss, StandIn

CLEAN = [0.9, 1.0, 1.1]


def decide(own: OwnTrainLoss, times: int, known: dict[str, float]) -> list[dict[str, float]]:
    def noisy(places: Sequence[int]) -> list[float]:
        return [CLEAN[place] + 0.2 for place in places]

    return [own.signals(CLEAN, noisy, known) for _ in range(times)]


def test_the_same_loss_is_left_as_it_is() -> None:
    assert decide(OwnTrainLoss(), 40, {"train_loss": 1.2, "train_loss_error": 0.02}) == [{}] * 40


def test_a_loss_with_a_constant_more_is_replaced_after_two_intervals() -> None:
    found = decide(OwnTrainLoss(), 6, {"train_loss": 2.2, "train_loss_error": 0.02})
    assert found[:2] == [{}, {}]
    assert [round(signals["train_loss"], 6) for signals in found[2:]] == [1.2] * 4


def test_without_a_training_loss_it_is_measured_at_once() -> None:
    assert [round(signals["train_loss"], 6) for signals in decide(OwnTrainLoss(), 2, {})] == [1.2, 1.2]


def test_a_rewind_in_between_says_nothing() -> None:
    own = OwnTrainLoss()
    for _ in range(3):
        decide(own, 1, {"train_loss": 2.2})
        own.forget()
    assert not own.needed


def test_its_own_loss_goes_on_from_a_checkpoint() -> None:
    first, second = OwnTrainLoss(), OwnTrainLoss()
    decide(first, 2, {"train_loss": 2.2})
    second.load_state_dict(first.state_dict())
    assert decide(first, 3, {"train_loss": 2.2}) == decide(second, 3, {"train_loss": 2.2})


def test_the_gap_of_a_stand_in_and_its_fall_since_the_best_validation_are_in_standard_errors() -> None:
    stand_in = StandIn()
    assert stand_in.signals(1.0, []) == {}
    stand_in.take({"train_loss": 0.8, "train_loss_error": 0.03})
    assert stand_in.signals(1.0, [0.96, 1.04]) == {"gap_z": pytest.approx(0.2 / 0.05)}
    stand_in.mark()
    stand_in.take({"train_loss": 0.6, "train_loss_error": 0.04})
    assert stand_in.signals(1.0, [])["clean_drop_z"] == pytest.approx(0.2 / 0.05)


def test_a_stand_in_goes_on_from_a_checkpoint() -> None:
    first, second = StandIn(), StandIn()
    first.take({"train_loss": 0.8})
    first.mark()
    second.load_state_dict(first.state_dict())
    for each in (first, second):
        each.take({"train_loss": 0.5, "train_loss_error": 0.1})
    assert second.signals(1.0, []) == first.signals(1.0, [])


def test_a_single_training_loss_without_validation_losses_has_no_score() -> None:
    stand_in = StandIn()
    stand_in.take({"train_loss": 0.8})
    stand_in.mark()
    stand_in.take({"train_loss": 0.6})
    assert stand_in.signals(1.0, []) == {}
    assert stand_in.signals(1.0, [1.0]) == {}
    assert stand_in.signals(1.0, [0.96, 1.04]) == {"gap_z": pytest.approx(0.4 / 0.04)}


def test_a_state_of_an_earlier_version_goes_on() -> None:
    stand_in = StandIn()
    stand_in.load_state_dict({"marked": (0.8, 0.0)})
    stand_in.take({"train_loss": 0.6, "train_loss_error": 0.1})
    assert stand_in.signals(1.0, [])["clean_drop_z"] == pytest.approx(2.0)
