from __future__ import annotations

from pathlib import Path

import pytest

from adaptive_dropout.plots import run_figure
from adaptive_dropout.tracking import History, Point


def history(layers: int, losses: bool = True) -> History:
    points = [Point(0, {f"layer{i}": 0.3 for i in range(layers)})]
    for step in (10, 20, 30):
        rates = {f"layer{i}": 0.3 + step / 100 for i in range(layers)}
        points.append(Point(step, rates, *((1.0 / step, 2.0 / step) if losses else (None, None))))
    return History(points)


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


def test_many_layers_leave_out_the_legend() -> None:
    assert run_figure(history(40)).axes[0].get_legend() is None


def test_it_can_be_saved_without_a_screen(tmp_path: Path) -> None:
    run_figure(history(3)).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_an_empty_history_is_told() -> None:
    with pytest.raises(ValueError, match="nothing has been trained with DropoutRateMonitor"):
        run_figure(History())
