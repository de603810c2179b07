from __future__ import annotations

import pytest
import torch

from adaptive_dropout.plots import uncertainty_figure


def test_a_small_group_stands_as_high_as_a_large_one() -> None:
    groups = {"right": torch.linspace(0, 1, 1000), "wrong": [0.05, 0.95]}
    axes = uncertainty_figure(groups, quantity="entropy in nats", bins=10).axes[0]
    outlines = [patch for patch in axes.patches if not patch.get_fill()]
    assert [max(outline.get_xy()[:, 1]) for outline in outlines] == pytest.approx([0.1, 0.5], abs=0.002)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["right (1000)", "wrong (2)"]
    assert axes.get_xlabel() == "entropy in nats"
    assert outlines[0].get_linestyle() != outlines[1].get_linestyle()


def test_values_that_are_all_the_same_are_drawn() -> None:
    assert uncertainty_figure({"all": [0.0, 0.0]}).axes[0].patches


@pytest.mark.parametrize(
    ("groups", "bins", "message"),
    [
        ({}, 30, "at least one group"),
        ({"right": []}, 30, "group 'right' has to hold finite values"),
        ({"right": [float("nan")]}, 30, "group 'right' has to hold finite values"),
        ({"right": [0.1]}, 0, "bins has to be at least 1"),
    ],
)
def test_what_cannot_be_drawn_is_named(groups: dict[str, list[float]], bins: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        uncertainty_figure(groups, bins=bins)
