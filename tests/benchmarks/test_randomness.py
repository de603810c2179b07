"""Each test of the battery passes good bits and fails bad ones, and reads the bits of `philox` in the stated order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_dropout.noise.philox import BLOCK, philox4x32
from benchmarks.randomness.battery import STREAM_TESTS, Integers, correlation, frequency, reversed_bits
from benchmarks.randomness.results import RESULTS, Row, judge, lines, measure, two_sided
from benchmarks.randomness.streams import PHILOX, Generator, streams
from benchmarks.study.rows import read, replace as replace_rows

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


LENGTH = 1 << 16


def failed(generator: Generator) -> set[str]:
    """The streams and sequences whose p-value no good generator gives in ten million tests."""
    return {row.stream for row in measure(generator, 0, LENGTH, LENGTH) if two_sided(row.p) < 1e-7}


def with_lanes(change: Callable[[Tensor], None]) -> Generator:
    """The generator after ``change`` of its halves, (blocks, 8, 512)."""

    def halves(key: Tensor, n: int) -> Tensor:
        numbers = PHILOX.halves(key, -(-n // (8 * BLOCK)) * 8 * BLOCK).reshape(-1, 8, BLOCK)
        change(numbers)
        return numbers.flatten()[:n]

    return replace(PHILOX, halves=halves)


@pytest.mark.slow
def test_the_generator_passes() -> None:
    assert judge([row.p for row in measure(PHILOX, 0, LENGTH, LENGTH)]).passed


@pytest.mark.slow
def test_lanes_are_those_of_the_counters_in_order() -> None:
    by_name = {stream.name: stream for stream in streams(PHILOX, 3, LENGTH)}
    key = int(PHILOX.key(3))
    for c in (0, 1, BLOCK, LENGTH - 1):
        counter = [torch.tensor(part) for part in (c, 0, 0, 0)]
        words = philox4x32(tuple(counter), (torch.tensor(key & 0xFFFFFFFF), torch.tensor(key >> 32)))  # type: ignore[arg-type]
        for lane in range(8):
            assert by_name[f"lane {lane} of 8"].numbers[c] == words[lane // 2].item() >> 16 * (lane % 2) & 0xFFFF


@pytest.mark.slow
def test_a_lane_that_repeats_another_is_found() -> None:
    found = failed(with_lanes(lambda lanes: lanes[:, 5].copy_(lanes[:, 2])))
    assert "lanes" in found
    assert not {f"lane {lane} of 8" for lane in range(8)} & found  # each one is as good as ever


@pytest.mark.slow
def test_a_lane_that_counts_is_found_alone() -> None:
    def change(lanes: Tensor) -> None:
        lanes[:, 6] = torch.arange(lanes[:, 6].numel()).reshape(-1, BLOCK) & 0xFFFF

    lane_by_lane = {name for name in failed(with_lanes(change)) if name.startswith("lane ")}
    assert lane_by_lane == {"lane 6 of 8"}


@pytest.mark.slow
def test_a_key_of_which_a_part_is_lost_is_found() -> None:
    generator = replace(PHILOX, halves=lambda key, n: PHILOX.halves(key >> 1, n))
    assert "neighbouring keys" in failed(generator)


@pytest.mark.slow
def test_a_key_drawn_twice_is_found() -> None:
    keys: list[Tensor] = []

    def draw_key(x: Tensor) -> Tensor:
        keys.append(keys[-1] if len(keys) % 2 else PHILOX.draw_key(x))
        return keys[-1]

    assert {"layers of a step", "keys drawn one after the other"} <= failed(replace(PHILOX, draw_key=draw_key))


@pytest.mark.slow
def test_layers_that_draw_the_same_in_each_step_are_found() -> None:
    torch.manual_seed(0)
    keys = [PHILOX.draw_key(torch.empty(())) for _ in range(4)]
    calls = iter(range(10**6))
    found = failed(replace(PHILOX, draw_key=lambda x: keys[next(calls) % 4]))
    assert "steps of a layer" in found
    assert "elements in order" not in found


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [Row(0, "lanes", "correlation", "high bits", 512, 0.25), Row(7, "lane 0 of 8", "gap", "low bits", 64, 1e-9)]
    for _ in range(2):
        replace_rows(tmp_path / "results.csv", rows)
    assert read(tmp_path / "results.csv", Row) == rows


def test_the_table_says_failed_and_what_failed_most() -> None:
    rows = [Row(0, f"s{i}", "gap", "high bits", 512, (i + 0.5) / 99) for i in range(99)]
    assert "**Passed**: 99 tests of 5.07e+04 numbers." in list(lines(rows, "torch"))
    text = list(lines([*rows, Row(4, "worst", "serial", "low bits", 512, 1e-9)], "torch"))
    assert any(line.startswith("**FAILED**: 100 tests") for line in text)
    assert text[text.index("## The most extreme") + 4] == "| worst | serial | low bits | 4 | 1e-09 | 2e-09 |"


@pytest.mark.slow
def test_the_committed_results_passed_and_are_those_of_this_generator() -> None:
    rows = read(RESULTS, Row)
    assert judge([row.p for row in rows]).passed
    stored = next(row for row in rows if row.stream == "elements in order" and row.test == "frequency")
    numbers = PHILOX.halves(PHILOX.key(stored.seed + 3), stored.numbers).numpy()
    assert frequency(numbers, 16) == pytest.approx(stored.p, rel=1e-5)
