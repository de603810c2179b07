"""Signals of several processes become one number each: here the processes are threads that meet at a barrier."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from adaptive_dropout.callbacks.meters.averaging import average, count_and_first


class Meeting:
    """What the strategies of some processes share."""

    def __init__(self, size: int) -> None:
        self.size, self.barrier, self.given = size, Barrier(size, timeout=10), [None] * size

    def trainer(self, rank: int) -> Any:
        """The trainer of one of them."""

        def exchange(value: Any) -> list[Any]:
            self.given[rank] = value
            self.barrier.wait()
            seen: list[Any] = list(self.given)
            self.barrier.wait()
            return seen

        def reduce(tensor: Tensor, reduce_op: str) -> Tensor:
            assert reduce_op == "sum"
            return torch.stack(exchange(tensor)).sum(0)

        strategy = SimpleNamespace(
            root_device=torch.device("cpu"), reduce=reduce, broadcast=lambda value, src=0: exchange(value)[src]
        )
        return SimpleNamespace(world_size=self.size, global_rank=rank, strategy=strategy)


def together(size: int, work: Callable[[Any, int], Any]) -> Any:
    """What ``work`` returns in each of ``size`` processes, which has to be the same."""
    meeting = Meeting(size)
    with ThreadPoolExecutor(size) as pool:
        results = list(pool.map(lambda rank: work(meeting.trainer(rank), rank), range(size)))
    assert all(result == results[0] or result != result for result in results)
    return results[0]


def test_processes_that_weigh_alike_are_averaged() -> None:
    assert together(2, lambda trainer, rank: average(trainer, {"a": 1.0 + rank}, {})) == {"a": 1.5}


def test_means_are_weighted_by_the_examples_they_are_of() -> None:
    def work(trainer: Any, rank: int) -> Any:
        return average(trainer, {"loss": float(rank), "other": float(rank)}, {"loss": [1.0, 3.0][rank]})

    assert together(2, work) == {"loss": 0.75, "other": 0.5}


def test_what_one_process_lacks_is_left_out() -> None:
    def work(trainer: Any, rank: int) -> Any:
        return average(trainer, {"a": 1.0} | ({"b": 2.0} if rank == 0 else {"c": 3.0}), {})

    assert together(2, work) == {"a": 1.0}


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_process_without_weight_neither_counts_nor_is_missed(first: int) -> None:
    def work(trainer: Any, rank: int) -> Any:
        signals = {"val": 1.0 + rank, "train": 4.0} if rank != (first + 1) % 3 else {"val": math.nan, "train": 1.0}
        weight = float(rank != (first + 1) % 3)
        return average(trainer, signals, {"train": 2.0 if weight else 4.0}, weight, first)

    others = [1.0 + rank for rank in range(3) if rank != (first + 1) % 3]
    assert together(3, work) == {"val": sum(others) / 2, "train": 2.5}


def test_a_number_that_is_not_finite_is_not_hidden() -> None:
    def work(trainer: Any, rank: int) -> Any:
        return math.isnan(average(trainer, {"a": [1.0, math.nan][rank]}, {})["a"])

    assert together(2, work) is True


@pytest.mark.parametrize(
    ("having", "expected"), [((), (0, 0)), ((0,), (1, 0)), ((2,), (1, 2)), ((1, 2), (2, 1)), ((0, 1, 2), (3, 0))]
)
def test_processes_are_counted_and_the_first_is_known(having: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert together(3, lambda trainer, rank: count_and_first(trainer, rank in having)) == expected
