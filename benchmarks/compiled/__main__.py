"""Measure, append to the results and write the table: ``python -m benchmarks.compiled``, on an idle machine."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.utils import counters
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.functional import scaled_dot_product_attention
from benchmarks.compiled.models import MODELS, WAYS, Case
from benchmarks.report.markdown import table
from benchmarks.speed.timing import cpu_clock, interleaved
from benchmarks.study.place import here
from benchmarks.study.rows import append, read_cells

__all__ = ["attention", "main", "measure", "write_lines"]

FOLDER = Path(__file__).parent
SIZES = ((8, 2, 16), (4, 4, 64), (4, 3, 197), (2, 4, 512))  # batch, heads, time; 64 channels


def measure(case: Case, way: str, backend: str, changes: int) -> dict[str, float]:
    """Return the cost of forward and backward passes, before each of which every rate moves by a hundredth."""
    torch._dynamo.reset()
    counters.clear()
    WAYS[way](case)
    model, rates = torch.compile(case.model.train(), backend=backend), ad.get_rates(case.model)
    taken, graphs = [], []
    for step in range(changes + 1):
        ad.set_rates(case.model, dict.fromkeys(rates, (10 + step) / 100))
        start = time.perf_counter()
        case.loss(model).backward()
        taken.append(time.perf_counter() - start)
        graphs.append(counters["stats"]["unique_graphs"])
    return {
        "rates": len(rates),
        "breaks": sum(counters["graph_break"].values()),
        "graphs": graphs[0],
        "recompiled": graphs[-1] - graphs[0],
        "first_s": round(taken[0], 2),
        "changes_s": round(sum(taken[1:]), 2),
        "last_ms": round(1e3 * taken[-1], 2),
    }


def attention(size: tuple[int, int, int], backend: str, seconds: float) -> dict[str, float]:
    """Return the medians in ms of a forward and backward pass at p = 0.1."""
    torch._dynamo.reset()
    q, k, v = (torch.randn(*size, 64, requires_grad=True) for _ in range(3))
    gradient, p = torch.randn(*size, 64), torch.tensor(0.1)
    ways: dict[str, Callable[[], Tensor]] = {
        "torch": lambda: F.scaled_dot_product_attention(q, k, v, dropout_p=0.1),
        "ours": lambda: scaled_dot_product_attention(q, k, v, p),
    }
    compiled = {f"{name}_compiled": torch.compile(way, backend=backend) for name, way in ways.items()}
    calls = {
        name: lambda way=way: torch.autograd.grad(way(), (q, k, v), gradient)
        for name, way in (ways | compiled).items()
    }  # fmt: skip
    taken = interleaved(calls, cpu_clock, 1, seconds)
    return {f"{name}_ms": round(1e3 * statistics.median(times), 3) for name, times in taken.items()}


def write_lines(models: Sequence[dict[str, str]], sizes: Sequence[dict[str, str]]) -> Iterator[str]:
    """Yield the last run as Markdown."""
    models, sizes = _last(models), _last(sizes)
    place = models[0]
    yield "# Attention under torch.compile"
    yield ""
    yield f"{place['machine']}; threads: {place['threads']}; {place['versions']}; commit {place['commit']};"
    yield f"{place['started']}; backend {place['backend']}."
    yield ""
    yield f"Forward and backward passes in training mode: one, and {place['changes']} with all rates moved by .01."
    yield ""
    counts = {"graph breaks": "breaks", "graphs": "graphs", "recompiled": "recompiled"}
    times = {"first, s": "first_s", "others, s": "changes_s", "last, ms": "last_ms"}
    columns = {"model": "model", "dropout in attention": "way", **counts, **times}
    yield from table(list(columns), ([row[column] for column in columns.values()] for row in models))
    yield ""
    yield "One attention, forward and backward in ms, p = 0.1 and at rest; medians, rounds in random order."
    yield ""
    compiled = {"torch compiled": "torch_compiled_ms", "ours compiled": "ours_compiled_ms"}
    columns = {"batch, heads, time": "size", "torch": "torch_ms", "ours": "ours_ms", **compiled}
    yield from table(list(columns), ([row[column] for column in columns.values()] for row in sizes))


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    place: dict[str, Any] = asdict(here())
    place["backend"] = options.backend
    files = [options.out / "models.csv", options.out / "attention.csv"]
    for name in options.models:
        for way in WAYS:
            shown = {"model": name, "way": way, "changes": options.changes}
            append(files[0], place | shown | measure(MODELS[name](), way, options.backend, options.changes))
    for size in SIZES:
        shown = {"size": ", ".join(map(str, size))}
        append(files[1], place | shown | attention(size, options.backend, options.seconds))
    (options.out / "table.md").write_text("\n".join(write_lines(*map(read_cells, files))) + "\n")


def _last(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    return [row for row in rows if row["started"] == rows[-1]["started"]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled", description=__doc__)
    parser.add_argument("--backend", default="inductor", help="of torch.compile")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--changes", type=int, default=20, help="of the rates")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each size of attention, or 4 rounds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=FOLDER, help="a folder")
    return parser


if __name__ == "__main__":
    main()
