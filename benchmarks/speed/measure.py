"""One process of a run: all noises and sizes with one number of threads and one allocator; `__main__` starts it."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.speed.contenders import COPY, NOISES, try_out
from benchmarks.speed.results import Row
from benchmarks.speed.timing import PASSES, copy, cpu_clock, interleaved
from benchmarks.study.place import Place, here
from benchmarks.study.rows import append

__all__ = ["ALLOCATORS", "measure_groups", "saved_bytes"]

KEEP = "2000000000"  # bytes
ALLOCATORS = {
    "default": {},
    "recycling": {"MALLOC_TRIM_THRESHOLD_": KEEP, "MALLOC_MMAP_THRESHOLD_": KEEP},  # glibc reads them at the start
}
AT_ONCE = 1 << 22  # elements: smaller inputs are timed several calls at a time
MOST_REPEATS = 50


def measure_groups(place: Place, sizes: list[int], seconds: float) -> Iterator[list[Row]]:
    """Yield the rows that were measured side by side: one noise, size and kind of pass."""
    for noise, made in NOISES.items():
        first = torch.randn(made.shape(sizes[0]))
        layers = {name: try_out(name, new, first) for name, new in made.contenders.items()}
        for size in sizes:
            x = torch.randn(made.shape(size))
            for what in PASSES:
                yield [
                    Row(**asdict(place), noise=noise, what=what, elements=size, **cells)  # type: ignore[arg-type]
                    for cells in _side_by_side(layers, x, what, seconds)
                ]


def _side_by_side(
    layers: dict[str, nn.Module | str], x: Tensor, what: str, seconds: float
) -> Iterator[dict[str, str | float]]:
    running = {name: layer for name, layer in layers.items() if isinstance(layer, nn.Module)}
    calls = {COPY: copy(x)} | {name: PASSES[what](layer, x) for name, layer in running.items()}
    repeats = min(max(AT_ONCE // x.numel(), 1), MOST_REPEATS)
    taken = interleaved(calls, cpu_clock, repeats, seconds)
    for name, times in taken.items():
        median, quartiles = statistics.median(times), statistics.quantiles(times, n=4)
        yield {
            "contender": name,
            "rounds": len(times),
            "microseconds": round(median * 1e6, 3),
            "spread": round((quartiles[2] - quartiles[0]) / 2 / median, 3),
            "saved": round(saved_bytes(running[name], x), 4) if name in running else 0.0,
            "note": "",
        }
    for name, why in layers.items():
        if isinstance(why, str):
            none = {"rounds": 0, "microseconds": float("nan"), "spread": float("nan"), "saved": float("nan")}
            yield {"contender": name, **none, "note": why}


def saved_bytes(layer: nn.Module, x: Tensor) -> float:
    """Return the bytes for each element of ``x`` that the graph keeps from the forward to the backward pass.

    Input and output are left out: the layers before and behind mostly keep these themselves.
    """
    saved: dict[int, int] = {}
    held: list[Tensor] = []  # a freed tensor could leave its address to another

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        held.append(tensor.detach())
        return tensor

    leaf = x.detach().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        y = layer(leaf)
    saved.pop(leaf.untyped_storage().data_ptr(), None)
    saved.pop(y.untyped_storage().data_ptr(), None)
    return sum(saved.values()) / x.numel()


def main() -> None:
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    place = here(options.started, allocator=options.allocator)
    for rows in measure_groups(place, options.sizes, options.seconds):
        for row in rows:
            append(options.out, row)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.measure", description=__doc__)
    parser.add_argument("--started", required=True)
    parser.add_argument("--allocator", required=True, choices=ALLOCATORS)
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--sizes", required=True, nargs="+", type=int)
    parser.add_argument("--seconds", required=True, type=float)
    parser.add_argument("--out", required=True, type=Path)
    return parser


if __name__ == "__main__":
    main()
