from __future__ import annotations

import pytest

from adaptive_dropout.plots import comparison_figure
from adaptive_dropout.tracking import History
from tests.plots.histories import history


def test_mean_rates_stand_above_validation_losses_with_the_best_marked() -> None:
    rates, losses = comparison_figure({"one": history(2), "two": history(5)}).axes
    assert [list(line.get_ydata()) for line in rates.lines] == [pytest.approx([0.3, 0.4, 0.5, 0.6])] * 2
    assert list(losses.lines[0].get_ydata()) == pytest.approx([0.2, 0.1, 2 / 30])
    assert list(losses.lines[1].get_xdata()) == [30]


def test_a_run_without_a_validation_has_rates_only() -> None:
    rates, losses = comparison_figure({"one": history(1, losses=False)}).axes
    assert len(rates.lines) == 1
    assert not losses.lines


def test_a_run_without_rates_is_named() -> None:
    with pytest.raises(ValueError, match="cannot be compared: empty"):
        comparison_figure({"one": history(1), "empty": History()})
    with pytest.raises(ValueError, match="at least one run"):
        comparison_figure({})
