"""Subsets keep the classes in proportion and nest; noise moves exactly the asked share of labels, uniformly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from adaptive_dropout.data.training_part import TrainingPart, flip_labels, stratified_subset

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [400, 300, 200, 100]))


@pytest.mark.parametrize("n", [4, 10, 37, 500, 999, 1000])
def test_every_class_has_its_share_to_within_one(n):
    counts = np.bincount(LABELS[stratified_subset(LABELS, n, seed=0)], minlength=4)
    assert counts.sum() == n
    assert counts.min() >= 1
    assert np.abs(counts - n * np.array([0.4, 0.3, 0.2, 0.1])).max() <= 1


def test_a_smaller_subset_is_part_of_a_larger_one():
    large = set(stratified_subset(LABELS, 300, seed=1))
    assert set(stratified_subset(LABELS, 77, seed=1)) < large
    assert set(stratified_subset(LABELS, 300, seed=2)) != large


@pytest.mark.parametrize("n", [3, 1001])
def test_a_subset_too_small_or_too_large_is_refused(n):
    message = rf"^n_train has to be between 4, .* and 1000, .* but got {n}$"
    with pytest.raises(ValueError, match=message):
        TrainingPart(n_train=n).select(LABELS)


@pytest.mark.parametrize(("fraction", "wrong"), [(0.0, 0), (0.25, 250), (0.9996, 1000), (1.0, 1000)])
def test_exactly_the_asked_fraction_of_labels_is_wrong(fraction, wrong):
    noisy = flip_labels(LABELS, fraction, num_classes=4, seed=0)
    assert (noisy != LABELS).sum() == wrong
    assert set(noisy) == {0, 1, 2, 3}


def test_a_wrong_label_is_uniform_over_the_other_classes():
    n, others = 30_000, 9
    counts = np.bincount(flip_labels(np.zeros(n, dtype=np.int64), 1.0, 10, seed=0), minlength=10)
    error = math.sqrt(n * (1 / others) * (1 - 1 / others))
    assert counts[0] == 0
    assert np.abs(counts[1:] - n / others).max() < 5 * error


def test_a_label_wrong_at_little_noise_is_as_wrong_at_more():
    little, more = (flip_labels(LABELS, fraction, 4, seed=5) for fraction in (0.1, 0.3))
    moved = little != LABELS
    assert np.array_equal(little[moved], more[moved])


def test_the_labels_given_are_left_alone():
    labels = LABELS.copy()
    TrainingPart(n_train=100, label_noise=1.0).select(labels)
    assert np.array_equal(labels, LABELS)


def test_noise_needs_a_second_class():
    with pytest.raises(ValueError, match=r"^label_noise 0\.5 needs at least 2 classes, but there is 1$"):
        flip_labels(np.zeros(10, dtype=np.int64), 0.5, 1, seed=0)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_train": 0}, ValueError, "n_train has to be at least 1, but got 0"),
        ({"n_train": 12.5}, TypeError, "n_train has to be a whole number, but got 12.5"),
        ({"n_train": True}, TypeError, "n_train has to be a whole number, but got True"),
        ({"label_noise": 1.1}, ValueError, "label_noise has to be between 0 and 1, but got 1.1"),
        ({"label_noise": "much"}, TypeError, "label_noise has to be a number between 0 and 1, but got 'much'"),
    ],
)
def test_bad_settings_are_refused_at_construction(settings, error, message):
    with pytest.raises(error) as caught:
        TrainingPart(**settings)
    assert str(caught.value) == message
