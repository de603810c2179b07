"""Figures of long and of deep runs: few points, and nothing lost that can be seen."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from adaptive_dropout.plots import run_figure
from adaptive_dropout.plots.thinned import kept_places, thinned
from adaptive_dropout.tracking import History, Point
from tests.plots.histories import history, marked_steps


def test_a_short_line_keeps_every_point() -> None:
    points = [(step, math.sin(step)) for step in range(1600)]
    assert thinned(points) == points


@pytest.mark.parametrize("place", [0, 1, 4999, 12_345, 99_999])
def test_a_long_line_keeps_its_peaks_its_ends_and_its_gaps(place: int) -> None:
    points = [(10 * step, 1.0) for step in range(100_000)]
    points[place] = (10 * place, 7.0)
    points[20_000] = (200_000, math.nan)
    kept = kept_places(points)
    assert len(kept) < 2100
    assert {0, place, 20_000, 99_999} <= set(kept)


def test_points_at_one_step_do_not_stop_it() -> None:
    assert len(kept_places([(5, float(value)) for value in range(5000)])) == 2


def long(validations: int) -> History:
    return History([Point(n, {"a": n % 7 / 10, "b": 0.1}, 1.0, 1 + 1 / (1 + n)) for n in range(validations)])


def test_a_long_run_is_drawn_with_few_points_and_all_rewinds() -> None:
    figure = run_figure(long(20_000), rewinds=range(100, 20_000, 10), restarts=[50, 17_003])
    for axes in figure.axes:
        upright = sorted(marked_steps(axes))
        assert len(upright) == 202
        assert {50, 17_003} <= set(upright)
        assert max(b - a for a, b in pairwise(upright)) <= 200, "a rewind is far from any line"
        assert all(len(line.get_xdata()) < 2100 for line in axes.lines)
    assert "rewind (1990)" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_hundreds_of_layers_are_two_bands_and_their_mean() -> None:
    axes = run_figure(history(300)).axes[0]
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == ["all", "middle half", "mean of 300"]
    assert len(axes.lines) == 1
