"""LightGBM's DART under a rate that changes from round to round. Skipped where LightGBM is not installed."""

from __future__ import annotations

import numpy as np
import pytest

import adaptive_dropout as ad
from benchmarks.beyond.steering import steer
from benchmarks.beyond.trees import Array, Forest, TreeLearner, regrow

pytest.importorskip("lightgbm")


def table(n: int, seed: int = 0) -> tuple[Array, Array]:
    """Two features that matter together, three that do not, and noisy classes."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, 5))
    return x, (x[:, 0] * x[:, 1] + draw.normal(size=n) > 0).astype(float)


def grown(rates: list[float]) -> tuple[float, float]:
    """The last training loss without the dropped trees, and the loss of all trees."""
    forest = Forest(*table(400), leaves=7, lr=0.3)
    noisy = [forest.grow(p, seed) for seed, p in enumerate(rates)]
    return noisy[-1], float(forest.losses(*table(400)).mean())


def test_a_rate_that_is_changed_on_the_way_takes_effect() -> None:
    # By the trees that the last round dropped: none of 20, about half of them, or all.
    (none, plain), (half, _), (everything, _) = (grown(20 * [0.0] + [p]) for p in (0.0, 0.5, 1.0))
    assert none < half < everything
    assert everything == pytest.approx(np.log(2))  # the scores of no tree are 0
    assert none == pytest.approx(grown(20 * [0.0])[1])
    assert plain < none


def test_the_rate_decides_how_the_forest_fits() -> None:
    losses = [grown(30 * [p])[1] for p in (0.0, 0.1, 0.5, 0.9)]
    assert losses == sorted(losses)
    assert len(set(losses)) == 4


def test_a_forest_that_is_grown_again_is_the_same_bit_for_bit() -> None:
    x, y = table(400)
    rounds = [(p, seed) for seed, p in enumerate(10 * [0.1] + 10 * [0.5])]
    first, second = (regrow(lambda: Forest(x, y, 7, 0.3), rounds).losses(x, y) for _ in range(2))
    assert np.array_equal(first, second)
    other = regrow(lambda: Forest(x, y, 7, 0.3), [(p, seed + 1) for p, seed in rounds])
    assert not np.array_equal(first, other.losses(x, y))


def learner(p: float) -> TreeLearner:
    return TreeLearner((table(300, 0), table(300, 1), table(300, 2)), p, every=3, leaves=7, lr=0.3)


def test_going_back_brings_the_forest_of_the_best_rounds() -> None:
    trees = learner(0.2)
    trees.advance()
    trees.take()
    at_best = trees.test_loss()
    trees.set_rates({"trees": 0.6})
    trees.advance()
    assert trees.test_loss() != at_best
    trees.restore()
    assert trees.test_loss() == at_best
    assert trees.rates() == {"trees": 0.6}
    trees.advance()
    trees.restart()
    trees.set_rates({"trees": 0.0})
    assert trees.advance().train_loss < np.log(2)


def test_the_default_controller_steers_the_trees() -> None:
    found = steer(learner(0.3), ad.RewindController(), validations=30)
    assert found.final_rate != 0.3
    assert found.val_loss < np.log(2)
