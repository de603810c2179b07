"""Whether training and validation losses can be compared, by their values."""

from __future__ import annotations

import math

import pytest

from adaptive_dropout.signals.footing import Footing, compare_untrained, differs, mean_and_error


def test_losses_that_agree_within_chance_are_compared_as_they_are() -> None:
    assert compare_untrained([2.30, 2.31, 2.29], [2.32, 2.30], sizes=(32, 64)) == Footing()


def test_batches_of_one_size_are_computed_alike_whatever_their_losses() -> None:
    assert compare_untrained([1.0, 1.01], [5.0, 5.01], sizes=(32, 32)) == Footing()


@pytest.mark.parametrize("sizes", [(32, 64), (32, 128), (128, 32)])
def test_a_sum_over_the_batch_is_recognised_by_the_sizes(sizes: tuple[int, int]) -> None:
    train, val = ([size * loss for loss in (1.01, 1.0, 0.99)] for size in sizes)
    assert compare_untrained(train, val, sizes) == Footing(sizes[1] / sizes[0])


def test_a_loss_that_grows_with_the_logarithm_of_the_batch_has_no_levels() -> None:
    train, val = [math.log(32)] * 3, [math.log(256)] * 3
    found = compare_untrained(train, val, sizes=(32, 256))
    assert not found.levels
    assert found.factor == pytest.approx(math.log(256) / math.log(32))


def test_where_no_size_is_known_far_apart_means_not_comparable() -> None:
    assert compare_untrained([1.0, 1.01], [3.0, 3.01]) == Footing(pytest.approx(2.99, abs=0.01), levels=False)


def test_a_loss_that_is_not_finite_says_nothing() -> None:
    assert compare_untrained([1.0, math.nan], [3.0]) == Footing()


def test_two_losses_differ_only_beyond_chance_and_beyond_a_tenth() -> None:
    assert differs(1.5, 0.01, 1.0, 0.01)
    assert not differs(1.5, 0.2, 1.0, 0.1)
    assert not differs(1.05, 0.001, 1.0, 0.001)


def test_a_single_value_has_no_error() -> None:
    assert mean_and_error([2.0]) == (2.0, 0.0)
    assert mean_and_error([1.0, 3.0]) == (2.0, 1.0)


def test_two_single_batches_leave_much_to_chance_and_are_the_nearer_of_mean_and_sum() -> None:
    # The mean square of 100 and of 150 numbers that are nearly normal: 15 % apart in two draws of five.
    assert compare_untrained([1.15], [1.0], sizes=(100, 150)) == Footing()
    assert compare_untrained([115.0], [150.0], sizes=(100, 150)) == Footing(1.5)
    assert compare_untrained([1.15], [1.0], sizes=(None, None)) == Footing()
    assert not compare_untrained([2.0], [1.0], sizes=(100, 150)).levels
    assert not compare_untrained([1.15], [1.0, 1.01, 0.99], sizes=(100, 50)).levels
