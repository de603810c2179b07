from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from adaptive_dropout.tracking import History, Point


def history() -> History:
    points = [
        Point(0, {"a": 0.3, "b": 0.1}),
        Point(10, {"a": 0.5, "b": 0.1}, train_loss=1.0, val_loss=2.0),
        Point(20, {"a": 0.4, "b": 0.0}, train_loss=None, val_loss=1.5),
    ]
    return History(points)


def test_summary_is_start_end_min_and_max() -> None:
    assert history().summary() == {"a": (0.3, 0.4, 0.3, 0.5), "b": (0.1, 0.0, 0.0, 0.1)}


def test_losses_are_those_of_the_validations() -> None:
    assert history().losses() == [(10, 1.0, 2.0), (20, None, 1.5)]


def test_a_rate_that_appears_later_is_summed_up_from_there() -> None:
    grown = history()
    grown.add(Point(30, {"c": 0.9}))
    assert grown.rate_names() == ["a", "b", "c"]
    assert grown.summary()["c"] == (0.9, 0.9, 0.9, 0.9)


def test_going_on_from_an_earlier_step_drops_what_came_after_it() -> None:
    again = history()
    again.add(Point(10, {"a": 0.5, "b": 0.1}))
    assert [point.step for point in again.points] == [0, 10, 10]


def test_it_survives_json() -> None:
    twin = History()
    twin.load_state_dict(json.loads(json.dumps(history().state_dict())))
    assert twin == history()


def test_rates_that_stay_are_one_mapping_and_take_no_room_in_a_checkpoint() -> None:
    rates = {f"layer{number}": 0.1 for number in range(1000)}
    long = History()
    for step in range(100):
        long.add(Point(step, {name: 0.2 if step >= 50 else p for name, p in rates.items()}, 1.0, 2.0))
    assert len({id(point.rates) for point in long.points}) == 2
    stored = json.dumps(long.state_dict())
    assert len(stored) < 30 * 1000
    twin = History()
    twin.load_state_dict(json.loads(stored))
    assert twin == long


def test_rates_that_come_and_go_are_stored_too() -> None:
    changing = [{"a": 0.1}, {"a": 0.1, "b": 0.2}, {"b": 0.2}, {"b": 0.2}, {"a": 0.1}]
    history = History([Point(step, rates) for step, rates in enumerate(changing)])
    twin = History()
    twin.load_state_dict(json.loads(json.dumps(history.state_dict())))
    assert [point.rates for point in twin.points] == changing


def test_a_checkpoint_of_an_earlier_version_is_read() -> None:
    twin = History()
    twin.load_state_dict({"points": [asdict(point) for point in history().points]})
    assert twin == history()


@pytest.mark.parametrize(
    "stored",
    [
        None, {}, {"points": 3}, {"parts": 3}, {"parts": [3]}, {"parts": [{"points": []}]},
        {"parts": [{"rates": {"a": 0.1}, "points": [3]}]},
        {"parts": [{"rates": {"a": 0.1}, "points": [[0, None, None]]}]},
        {"parts": [{"rates": {"a": 0.1}, "points": [[-1, None, None, None]]}]},
        {"parts": [{"rates": {"a": 0.1}, "points": [[0, 1.5, None, None]]}]},
        {"parts": [{"rates": {"a": 0.1}, "points": [[0, {"b": 0.5}, None, None]]}]},
        {"parts": [{"rates": {"a": 7.0}, "points": []}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_no_history_stores_is_refused(stored: object) -> None:
    kept = history()
    with pytest.raises((TypeError, ValueError)):
        kept.load_state_dict(stored)
    assert kept == history()
