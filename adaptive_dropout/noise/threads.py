"""A kernel on several threads: as many as torch uses, each with a part of the chunks.

These are Python threads rather than numba's own: a kernel releases the GIL, and Python's threads survive a fork, which
those of GNU OpenMP do not.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

__all__ = ["run_in_threads"]

LEAST = 16  # chunks for a thread: at 4096 elements each about 20 us of work, as much as it takes to hand them over


def run_in_threads(kernel: Callable[..., None], arguments: tuple[Any, ...], chunks: int) -> None:
    """Call ``kernel(*arguments, first, last)`` for parts of ``chunks`` in parallel, and wait for all of them."""
    threads = min(torch.get_num_threads(), chunks // LEAST)
    if threads < 2:
        kernel(*arguments, 0, chunks)
        return
    edges = [chunks * part // threads for part in range(threads + 1)]
    spans = list(itertools.pairwise(edges))
    others = [_pool(os.getpid()).submit(kernel, *arguments, *span) for span in spans[1:]]
    kernel(*arguments, *spans[0])
    for other in others:
        other.result()


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads of this process: a forked one does not have those of its parent."""
    return ThreadPoolExecutor(os.cpu_count(), "dropout")
