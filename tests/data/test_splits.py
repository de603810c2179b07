"""Held-out parts are disjoint, complete, seeded, and stratified where that is possible."""

from __future__ import annotations

import numpy as np
import pytest

from adaptive_dropout.data.splits import check_fraction, split_off, three_way

LABELS = np.repeat(np.arange(4), [400, 300, 200, 100])


def test_three_parts_hold_every_example_once():
    parts = three_way(LABELS, 0.2, 0.1, seed=0)
    assert [len(part) for part in parts] == [700, 200, 100]
    assert sorted(np.concatenate(parts)) == list(range(1000))


def test_every_class_keeps_its_share():
    for part in three_way(LABELS, 0.2, 0.1, seed=0):
        assert np.bincount(LABELS[part]).tolist() == [len(part) * share // 10 for share in (4, 3, 2, 1)]


def test_seed_decides_the_split():
    first, again, other = (three_way(LABELS, 0.2, 0.1, seed)[2] for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_test_part_does_not_depend_on_the_validation_fraction():
    assert np.array_equal(three_way(LABELS, 0.1, 0.1, 0)[2], three_way(LABELS, 0.4, 0.1, 0)[2])


@pytest.mark.parametrize(
    "y",
    [
        np.linspace(0.0, 1.0, 50),
        np.append(np.zeros(49, dtype=int), 1),  # a class with one member
        np.repeat(np.arange(25), 2),  # more classes than the part that is split off has examples
    ],
)
def test_what_cannot_be_stratified_is_split_at_random(y):
    stay, out = split_off(y, 0.2, seed=0)
    assert sorted([*stay, *out]) == list(range(50))
    assert len(out) == 10


def test_an_empty_part_is_refused():
    with pytest.raises(ValueError, match=r"^0\.1 of 3 examples leaves one part of the split empty$"):
        split_off(np.zeros(3), 0.1, seed=0)


def test_fractions_that_leave_no_training_part_are_refused():
    with pytest.raises(ValueError, match=r"^val_fraction 0\.5 and test_fraction 0\.5 have to sum to less than 1$"):
        three_way(LABELS, 0.5, 0.5, seed=0)


@pytest.mark.parametrize("value", [0, 1, 1.5, float("nan")])
def test_a_fraction_lies_inside_zero_and_one(value):
    with pytest.raises(ValueError, match=r"^val_fraction has to .* but got [\d.n]"):
        check_fraction(value, "val_fraction")
