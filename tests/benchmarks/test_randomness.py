"""Each test of the battery lets good bits pass and tells bad ones."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.randomness.battery import STREAM_TESTS, Integers, correlation, reversed_bits
from benchmarks.randomness.table import judge, two_sided

N = 1 << 18
TESTS = list(STREAM_TESTS)


def good(bits: int, seed: int = 0) -> Integers:
    return np.random.default_rng(seed).integers(0, 1 << bits, N).astype(np.uint32)


def counter(bits: int) -> Integers:
    return np.arange(N, dtype=np.uint32) & np.uint32(2**bits - 1)


def congruential(bits: int) -> Integers:
    """The lowest bits of Numerical Recipes' generator: s <- 1664525 s + 1013904223 modulo 2^32."""
    state, states = 1, []
    for _ in range(N):
        state = (1664525 * state + 1013904223) % 2**32
        states.append(state)
    return np.array(states, dtype=np.uint32) & np.uint32(2**bits - 1)


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("name", TESTS)
def test_good_bits_pass(name: str, bits: int) -> None:
    p_values = [STREAM_TESTS[name](good(bits, seed), bits) for seed in range(20)]
    assert judge(p_values).passed


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("name", TESTS)
def test_a_counter_fails(name: str, bits: int) -> None:
    assert two_sided(STREAM_TESTS[name](counter(bits), bits)) < 1e-9


@pytest.mark.parametrize("name", TESTS)
def test_the_low_bits_of_a_congruential_generator_fail(name: str) -> None:
    assert two_sided(STREAM_TESTS[name](reversed_bits(congruential(16), 16), 16)) < 1e-9


@pytest.mark.parametrize("name", ["frequency", "serial", "gap"])
def test_a_bit_that_is_one_in_55_of_100_fails(name: str) -> None:
    set_too_often = np.where(np.random.default_rng(0).random(N) < 0.1, good(16) | np.uint32(1 << 15), good(16))
    assert two_sided(STREAM_TESTS[name](set_too_often, 16)) < 1e-9


def test_two_sequences_of_one_key_are_correlated() -> None:
    several = np.stack([good(16, seed) for seed in range(8)])
    assert two_sided(correlation(several, 16)) > 1e-3
    several[5] = several[2]
    assert correlation(several, 16) < 1e-9


def test_sequences_that_agree_in_one_of_fifty_elements_are_correlated() -> None:
    several = np.stack([good(16, seed) for seed in range(8)])
    several[5, ::50] = several[2, ::50]
    assert correlation(several, 16) < 1e-9


@pytest.mark.parametrize("bits", [16, 32])
def test_reversed_bits_begin_with_the_lowest(bits: int) -> None:
    numbers = good(bits)[:100]
    expected = [int(f"{number:0{bits}b}"[::-1], 2) for number in numbers]
    assert reversed_bits(numbers, bits).tolist() == expected


def test_one_extreme_value_among_many_is_enough_to_fail() -> None:
    even = list((np.arange(499) + 0.5) / 499)
    assert judge([*even, 1e-3]).passed  # expected among 500
    assert not judge([*even, 1e-6]).passed
    assert not judge([*even, 1 - 1e-6]).passed


def test_values_that_are_not_uniform_together_fail_though_none_is_extreme() -> None:
    together = judge(list(np.linspace(0.2, 0.8, 100)))
    assert together.corrected == 1
    assert not together.passed


def test_a_verdict_needs_tests() -> None:
    with pytest.raises(ValueError, match="one p-value or more"):
        judge([])
