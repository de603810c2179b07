from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
import torch

from adaptive_dropout.noise.threads import LEAST, run_in_threads


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def spans_and_threads(blocks: int) -> tuple[list[tuple[int, int]], set[int]]:
    seen: list[tuple[int, int]] = []
    threads: set[int] = set()

    def kernel(given: str, *span: int) -> None:
        assert given == "argument"
        seen.append(span)
        threads.add(threading.get_ident())

    run_in_threads(kernel, ("argument",), blocks)
    return sorted(seen), threads


@pytest.mark.parametrize("blocks", [0, 1, LEAST * 2 - 1])
def test_little_work_stays_in_the_calling_thread(blocks: int, three_threads: None) -> None:
    assert spans_and_threads(blocks) == ([(0, blocks)], {threading.get_ident()})


@pytest.mark.parametrize("blocks", [LEAST * 2, LEAST * 3, 10_001])
def test_each_block_is_done_once_by_as_many_parts_as_torch_has_threads(blocks: int, three_threads: None) -> None:
    spans, _ = spans_and_threads(blocks)
    assert [block for span in spans for block in range(*span)] == list(range(blocks))
    assert len(spans) == min(3, blocks // LEAST)


def test_one_thread_of_torch_is_one_thread_here() -> None:
    assert spans_and_threads(10_000) == ([(0, 10_000)], {threading.get_ident()})


def test_an_error_in_another_thread_is_raised_here(three_threads: None) -> None:
    def kernel(first: int, last: int) -> None:
        if first:
            raise ValueError(f"at {first}")

    with pytest.raises(ValueError, match="at "):
        run_in_threads(kernel, (), LEAST * 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*")
def test_it_works_in_a_fork_of_a_process_that_used_its_threads(three_threads: None) -> None:
    spans_and_threads(LEAST * 3)
    child = os.fork()
    if child == 0:
        os._exit(0 if len(spans_and_threads(LEAST * 3)[0]) == 3 else 1)
    assert os.waitpid(child, 0)[1] == 0
