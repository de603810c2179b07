"""Parts and folds that are held out are disjoint, complete, seeded, and stratified where that is possible."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptive_dropout.data import Digits, Text
from adaptive_dropout.data.splits import check_fraction, fold_indices, split_off, three_way

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


HUNDRED = np.repeat(np.arange(4), [40, 30, 20, 10])


@pytest.mark.parametrize("y", [HUNDRED, np.linspace(0.0, 1.0, 101), np.append(HUNDRED, 4)])
def test_every_example_validates_once_and_trains_in_all_other_folds(y: np.ndarray) -> None:
    cut = fold_indices(y, 5, seed=0)
    assert sorted(np.concatenate([val for _, val in cut])) == list(range(len(y)))
    for train, val in cut:
        assert sorted([*train, *val]) == list(range(len(y)))
        assert len(y) // 5 <= len(val) <= len(y) // 5 + 1


def test_every_class_has_its_share_in_every_fold() -> None:
    for _, val in fold_indices(HUNDRED, 5, seed=0):
        assert np.bincount(HUNDRED[val]).tolist() == [8, 6, 4, 2]


def test_the_seed_decides_the_folds() -> None:
    first, again, other = (fold_indices(HUNDRED, 5, seed)[0][1] for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("folds", "message"),
    [(1, "folds has to be at least 2, but got 1"), (101, "folds has to be at most 100, the number of examples")],
)
def test_a_number_of_folds_that_cannot_be_is_refused(folds: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fold_indices(HUNDRED, folds, seed=0)


def test_a_data_module_trains_and_validates_on_its_fold_and_keeps_its_test_set() -> None:
    plain = Digits(n_train=200, seed=3)
    plain.setup()
    pool = torch.cat([plain.train_set.x, plain.val_set.x])
    seen = []
    for fold in range(4):
        data = Digits(n_train=200, seed=3)
        data.use_fold(fold, 4)
        data.setup("fit")  # what the trainer does must not bring the old sets back
        assert len(data.train_set) + len(data.val_set) == len(pool) == 560
        assert torch.equal(data.test_set.x, plain.test_set.x)
        seen.append(data.val_set.x)
    # Rows in the same order, whatever the order of the folds: the same multiset of images.
    assert torch.equal(torch.cat(seen).flatten(1).sum(1).sort().values, pool.flatten(1).sum(1).sort().values)
    with pytest.raises(ValueError, match="fold has to be between 0 and 3, but got 4"):
        Digits().use_fold(4, 4)


def test_windows_of_a_text_are_no_separate_examples(tmp_path) -> None:
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question. " * 100)
    with pytest.raises(TypeError, match="windows overlap"):
        Text(tmp_path / "text.txt").use_fold(0, 5)
