from __future__ import annotations

from pathlib import Path

import pytest

from adaptive_dropout.plots import losses_figure, rates_figure, run_figure
from adaptive_dropout.tracking import History, Point
from tests.plots.histories import history, marked_steps


def test_rates_stand_above_losses_and_gap_on_one_axis_of_steps() -> None:
    rates, loss, gap = run_figure(history(2), title="a run").axes
    assert rates.get_title() == "a run"
    assert [line.get_label() for line in rates.lines] == ["layer0", "layer1"]
    assert list(rates.lines[0].get_xdata()) == [0, 10, 20, 30]
    assert rates.lines[0].get_ydata()[-1] == pytest.approx(0.6)
    assert list(loss.lines[1].get_ydata()) == pytest.approx([0.2, 0.1, 2 / 30])
    assert list(gap.lines[0].get_ydata()) == pytest.approx([0.1, 0.05, 1 / 30])
    assert gap.get_xlabel() == "optimizer steps"


def test_layers_that_move_together_can_be_told_apart() -> None:
    first, second = run_figure(history(2)).axes[0].lines
    assert first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()


def test_without_losses_only_the_rates_are_drawn() -> None:
    assert len(run_figure(history(1, losses=False)).axes) == 1


def test_many_layers_are_shown_by_their_mean() -> None:
    axes = run_figure(history(40)).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["mean of 40"]
    assert len(axes.lines) == 41
    assert list(axes.lines[-1].get_ydata()) == pytest.approx([0.3, 0.4, 0.5, 0.6])


def test_rewinds_are_marked_in_every_part_and_named_once() -> None:
    figure = run_figure(history(1), rewinds=[10, 20])
    for axes in figure.axes:
        assert marked_steps(axes) == [10, 20]
    named = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert named == ["rewind (2)", "layer0"]


def test_marks_leave_the_heights_as_they_are() -> None:
    heights = [[axes.get_ylim() for axes in run_figure(history(1), rewinds=steps).axes] for steps in ([], [10, 20])]
    assert heights[0] == heights[1]


def test_restarts_have_lines_of_another_kind() -> None:
    figure = run_figure(history(1), rewinds=[20], restarts=[10])
    for axes in figure.axes:
        assert marked_steps(axes) == [20, 10]
    named = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert named == ["rewind (1)", "restart (1)", "layer0"]
    patterns = [line._dash_pattern for line in figure.axes[0].lines[:2]]  # matplotlib has no public name for it
    assert patterns[0] != patterns[1]


def test_it_can_be_saved_without_a_screen(tmp_path: Path) -> None:
    run_figure(history(3)).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_any_name_is_shown_as_it_is(tmp_path: Path) -> None:
    figure = rates_figure(history(2, name="_$x$ <b>{}</b>"), title="$y$ & _z")
    figure.savefig(tmp_path / "figure.png")  # broken mathematics would raise here
    shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [text.replace("\\", "").strip() for text in shown] == ["_$x$ <b>0</b>", "_$x$ <b>1</b>"]


def test_an_empty_history_is_told() -> None:
    for figure in (run_figure, rates_figure):
        with pytest.raises(ValueError, match="nothing has been trained with DropoutRateMonitor"):
            figure(History())


def test_losses_without_a_validation_are_told() -> None:
    with pytest.raises(ValueError, match="no validation loss"):
        losses_figure(history(1, losses=False))


def test_the_first_loss_does_not_press_the_others_into_a_line() -> None:
    points = [
        Point(step, {"a": 0.1}, 0.9 * loss, loss) for step, loss in [(1, 500.0), (50, 2.0), (90, 1.0), (100, 1.1)]
    ]
    axes = losses_figure(History(points)).axes[0]
    low, high = axes.get_ylim()
    assert low < 0.9
    assert 2.0 < high < 3.0
    assert "from 450 at step 1" in [text.get_text() for text in axes.texts]


def test_a_best_validation_at_the_very_beginning_stays_in_sight() -> None:
    points = [Point(step, {"a": 0.1}, None, loss) for step, loss in [(1, 0.1), (2, 90.0), (50, 2.0), (100, 2.2)]]
    low, high = losses_figure(History(points)).axes[0].get_ylim()
    assert low < 0.1
    assert 2.2 < high < 3


def test_a_validation_that_diverged_is_never_the_best() -> None:
    points = [
        Point(10, {"a": 0.1}, 1.0, 2.0),
        Point(20, {"a": 0.1}, 1.0, float("nan")),
        Point(30, {"a": 0.1}, 1.0, 2.5),
    ]
    (legend,) = losses_figure(History(points)).legends
    assert "best 2 at step 10" in [text.get_text() for text in legend.get_texts()]
