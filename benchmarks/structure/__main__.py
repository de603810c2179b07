"""Measure, append to the results and write the table: ``python -m benchmarks.structure [--device cuda]``."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.report.markdown import table
from benchmarks.speed.timing import Call, Clock, interleaved
from benchmarks.structure.layers import WAYS, Size, step_of
from benchmarks.structure.loops import KINDS, SIZES, calls_of
from benchmarks.study.place import here
from benchmarks.study.rows import append, read_cells

__all__ = ["main", "write_lines"]

RESULTS = Path(__file__).with_name("results.csv")
FULL = Size(channels=768, batch=32, time=128)  # on a GPU


def clock_of(device: str) -> Clock:
    """Return a clock: of the time of this process on a CPU, which others hardly disturb; else of the wall."""

    def on_cpu(call: Call, repeats: int) -> float:
        start = time.process_time()
        for _ in range(repeats):
            call()
        return (time.process_time() - start) / repeats

    def on_gpu(call: Call, repeats: int) -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / repeats

    return on_gpu if device == "cuda" else on_cpu


def measure(size: Size, device: str, seconds: float) -> Iterator[dict[str, str | float]]:
    """Yield a row for each contender, with the mean over its rounds and the standard error of that mean."""
    groups: dict[tuple[str, str], dict[str, Call]] = {
        ("layers", f"{size.layers} x {size.channels}"): {name: step_of(way, size, device) for name, way in WAYS.items()}
    }
    for kind in KINDS:
        groups |= {(kind, name): calls_of(kind, name, device) for name in SIZES}
    for (what, where), calls in groups.items():
        long = seconds if what == "layers" else seconds / 6
        for name, times in interleaved(calls, clock_of(device), 1, long).items():
            yield {
                "what": what,
                "size": where,
                "contender": name,
                "rounds": len(times),
                "mean_ms": round(1e3 * statistics.mean(times), 3),
                "error_ms": round(1e3 * statistics.stdev(times) / len(times) ** 0.5, 3),
                "median_ms": round(1e3 * statistics.median(times), 3),
            }


def write_lines(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Yield the last run on each device as Markdown."""
    yield "# Layers that are skipped, and recurrent loops"
    for device in dict.fromkeys(row["device"] for row in rows):
        of_device = [row for row in rows if row["device"] == device]
        last = [row for row in of_device if row["started"] == of_device[-1]["started"]]
        place, clock = last[0], "the wall clock" if device == "cuda" else "process time"
        yield from ("", f"## {device}", "")
        yield (
            f"{place['machine']}; threads: {place['threads']}; {place['versions']}; commit {place['commit']}; "
            f"{place['started']}. Rounds in random order, by {clock}."
        )
        yield from ("", "### A training step of transformer blocks, slowest first", "")
        yield from _layers([row for row in last if row["what"] == "layers"])
        yield from ("", "### Forward and backward pass of a recurrent layer: medians in ms, slowest first", "")
        yield from _loops([row for row in last if row["what"] != "layers"])


def _layers(rows: list[dict[str, str]]) -> Iterator[str]:
    yield from (f"{rows[0]['rounds']} steps of each, blocks drawn anew for each.", "")
    whole = next(float(row["mean_ms"]) for row in rows if row["contender"] == "all blocks")
    body = []
    for row in sorted(rows, key=lambda row: -float(row["mean_ms"])):
        mean, error = float(row["mean_ms"]), float(row["error_ms"])
        share = f"{WAYS[row['contender']].share:.2f}"
        cells = (f"{mean:.1f} ({error:.1f})", f"{mean / whole:.2f} ({error / whole:.2f})")
        body.append([row["contender"], share, *cells])
    yield from table(("", "share of blocks that run", "ms a step (standard error)", "of all blocks"), body)


def _loops(rows: list[dict[str, str]]) -> Iterator[str]:
    body = []
    for kind in KINDS:
        for size, (times, batch, units) in SIZES.items():
            found = {row["contender"]: row["median_ms"] for row in rows if (row["what"], row["size"]) == (kind, size)}
            ours = float(found["ours"])
            against = (float(found[name]) / ours for name in ("torch's, without zoneout", "a loop over torch's cell"))
            body.append([f"{kind}, {times} x {batch} x {units}", *found.values(), *(f"{r:.2f}" for r in against)])
    body.sort(key=lambda cells: float(cells[-2]))
    heads = (*KINDS["LSTM"], "ours is as fast as torch's, times", "as the loop, times")
    yield from table(("times x batch x units", *heads), body)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    place = asdict(here(device=options.device))
    size = FULL if options.device == "cuda" else Size()
    size = Size(channels=options.channels, batch=2, time=8) if options.channels else size
    for cells in measure(size, options.device, options.seconds):
        append(options.out, place | cells)
    options.out.with_name("table.md").write_text("\n".join(write_lines(read_cells(options.out))) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.structure", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seconds", type=float, default=180.0, help="for the layers; a sixth for each recurrent layer")
    parser.add_argument("--channels", type=int, help="of a small transformer, to try it out")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    main()
