from __future__ import annotations

import json

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
