from __future__ import annotations

import math

import pytest
from torch import nn

import adaptive_dropout as ad


@pytest.mark.parametrize("step", [0, 1, 700, 5000])
def test_it_is_the_paper_s_formula(step: int) -> None:
    # theta(t) = (1 - theta) exp(-gamma t) + theta; layer l of L is skipped with (l / L) (1 - theta(t)).
    theta, gamma, layers, steps = 0.5, 0.001, 12, 5000
    schedules = ad.progressive_layer_dropping(layers, 1 - theta, steps=steps, gamma=gamma * steps)
    kept = (1 - theta) * math.exp(-gamma * step) + theta
    wanted = [(index + 1) / layers * (1 - kept) for index in range(layers)]
    assert [schedule(step) for schedule in schedules] == pytest.approx(wanted)


def test_a_list_of_layers_takes_it_and_follows_the_step() -> None:
    blocks = ad.LayerDrop([nn.Linear(2, 2) for _ in range(4)], ad.progressive_layer_dropping(4, 0.8, steps=100))
    assert blocks.p == 0
    ad.set_step(blocks, 100)
    assert [rate.p for rate in blocks.rates] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert blocks.p == pytest.approx(0.8 * 5 / 8)


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="layers has to be at least 1, but got 0"):
        ad.progressive_layer_dropping(0)
    with pytest.raises(ValueError, match=r"p has to be between 0 and 1, but got 1\.5"):
        ad.progressive_layer_dropping(3, 1.5)
