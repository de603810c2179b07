from __future__ import annotations

import pytest

from adaptive_dropout.plots import grid_figure

GRID = {0.5: [0.4, 0.6], 0.0: [0.9], 0.2: [0.3]}
WAY = [(0.1, 5.0), (0.15, 0.8), (0.3, 0.25), (0.4, 0.28)]


def test_the_grid_is_drawn_in_order_with_the_range_of_its_seeds() -> None:
    figure = grid_figure(GRID, {})
    (bars,) = figure.axes[0].containers
    line, _, (ranges,) = bars
    assert list(line.get_xdata()) == [0.0, 0.2, 0.5]
    assert list(line.get_ydata()) == pytest.approx([0.9, 0.3, 0.5])
    assert ranges.get_segments()[2][:, 1] == pytest.approx([0.4, 0.6])


def test_a_run_is_a_trajectory_and_a_point_where_it_was_best() -> None:
    axes = grid_figure(GRID, {"adaptive": WAY}).axes[0]
    trajectory, best = axes.lines[-2:]
    assert list(zip(trajectory.get_xdata(), trajectory.get_ydata(), strict=True)) == WAY
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([0.3], [0.25])
    assert best.get_label() == "adaptive: 0.25 at 0.3"


def test_the_beginning_of_a_run_does_not_press_the_grid_into_a_line() -> None:
    low, high = grid_figure(GRID, {"adaptive": WAY}).axes[0].get_ylim()
    assert 0.1 < low < 0.25
    assert 0.9 < high < 1.2


def test_the_names_hide_no_line() -> None:
    figure = grid_figure(GRID, {f"run {i}": WAY for i in range(20)})
    assert figure.axes[0].get_legend() is None
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 13  # twelve runs and the grid


def test_a_run_that_only_diverged_has_no_point() -> None:
    assert len(grid_figure(GRID, {"adaptive": [(0.1, float("nan"))]}).legends[0].get_texts()) == 1


@pytest.mark.parametrize("grid", [{}, {0.1: []}])
def test_an_empty_grid_is_told(grid: dict[float, list[float]]) -> None:
    with pytest.raises(ValueError, match="at least one loss"):
        grid_figure(grid, {})


def test_a_loss_that_diverged_is_named() -> None:
    with pytest.raises(ValueError, match=r"0\.9: \[nan\].*leave diverged runs out"):
        grid_figure(GRID | {0.9: [float("nan")]}, {})
