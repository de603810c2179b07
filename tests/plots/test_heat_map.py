from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from adaptive_dropout.plots import heat_map_figure
from adaptive_dropout.plots.names import labels
from adaptive_dropout.tracking import History, Point
from tests.plots.histories import history


def cells(figure: object) -> np.ndarray:
    return np.ma.filled(figure.axes[0].images[0].get_array().astype(float), math.nan)  # type: ignore[attr-defined]


def test_a_rate_holds_until_it_is_set_anew() -> None:
    values = cells(heat_map_figure(History([Point(0, {"a": 0.1}), Point(75, {"a": 0.5}), Point(100, {"a": 0.9})])))
    columns = values.shape[1]
    assert values[0, : int(0.74 * columns)] == pytest.approx(0.1)
    assert values[0, int(0.76 * columns) :] == pytest.approx(0.5)


def test_a_rate_that_appears_later_has_an_empty_beginning() -> None:
    values = cells(heat_map_figure(History([Point(0, {"a": 0.1}), Point(50, {"a": 0.1, "b": 0.2})])))
    assert np.isnan(values[1]).any()
    assert not np.isnan(values[0]).any()


def test_each_of_a_hundred_layers_is_named_in_its_own_place(tmp_path: Path) -> None:
    figure = heat_map_figure(history(100, name="encoder.layers.{}.attention.output.dropout"))
    figure.savefig(tmp_path / "figure.png")
    axes = figure.axes[0]
    names = axes.get_yticklabels()
    assert [name.get_text() for name in names] == [str(i) for i in range(100)]
    assert axes.get_ylabel() == "encoder.layers.*.attention.output.dropout"
    boxes = [name.get_window_extent() for name in names]
    assert all(upper.y0 >= lower.y1 for upper, lower in pairwise(boxes)), "names overlap"
    assert names[0].get_fontsize() >= 5.5


def test_of_a_thousand_layers_the_named_ones_are_spread_evenly() -> None:
    figure = heat_map_figure(history(1000))
    assert figure.get_size_inches()[1] < 13
    named = [int(text.get_text().removeprefix("layer")) for text in figure.axes[0].get_yticklabels()]
    assert 100 <= len(named) <= 120
    assert len(set(np.diff(named))) == 1


def test_rewinds_stand_above_the_rows() -> None:
    figure = heat_map_figure(history(3), rewinds=[10, 20], title="deep")
    assert list(figure.axes[0].lines[0].get_xdata()) == [10, 20]
    assert figure.axes[0].get_title() == "deep\n▼ rewind (2)"


def test_restarts_stand_there_too() -> None:
    figure = heat_map_figure(history(3), rewinds=[10], restarts=[20, 30])
    assert list(figure.axes[0].lines[1].get_xdata()) == [20, 30]
    assert figure.axes[0].get_title() == "▼ rewind (1)   ■ restart (2)"


def test_long_names_keep_what_tells_them_apart() -> None:
    names = [f"model.{'x' * 50}.{i}.{'y' * 50}" for i in range(3)]
    assert labels(names)[0] == ["0", "1", "2"]
    nested = ["a" * 40, "a" * 40 + ".b"]
    assert len(set(labels(nested)[0])) == 2
    assert all(labels(nested)[0])
    alike = [f"{'x' * 30}{i}{'y' * 30}" for i in range(3)]
    assert len(set(labels(alike)[0])) == 3


def test_an_empty_history_is_told() -> None:
    with pytest.raises(ValueError, match="the history is empty"):
        heat_map_figure(History())
