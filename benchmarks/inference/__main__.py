"""Measure, append to the results and write the table: ``python -m benchmarks.inference``, on an idle machine."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from benchmarks.inference.networks import NETWORKS, Case
from benchmarks.report.markdown import table
from benchmarks.speed.timing import cpu_clock, interleaved
from benchmarks.study.place import here
from benchmarks.study.rows import append, read_cells

__all__ = ["loop", "main", "measure", "write_lines"]

RESULTS = Path(__file__).with_name("results.csv")


def loop(model: nn.Module, x: Tensor, samples: int) -> Tensor:
    """Return samples as peers draw them: eval mode, dropout on, a full pass for each."""
    with ad.mc_dropout(model), torch.no_grad():
        return torch.stack([model(x) for _ in range(samples)])


def measure(case: Case, samples: int, batch: int, seconds: float) -> dict[str, float]:
    """Return the medians of a loop and of sampling, in ms, and how far their means are apart.

    ``apart`` is the largest distance between the means of 10 times as many samples, in standard errors.
    """
    model, x = case.new(), case.batch(batch)
    calls = {"loop": lambda: loop(model, x, samples), "ours": lambda: ad.mc_samples(model, x, samples)}
    taken = {name: statistics.median(times) for name, times in interleaved(calls, cpu_clock, 1, seconds).items()}
    first, second = loop(model, x[:2], 10 * samples), ad.mc_samples(model, x[:2], 10 * samples)
    error = ((first.var(0) + second.var(0)) / (10 * samples)).sqrt()
    return {
        "loop_ms": round(1e3 * taken["loop"], 2),
        "ours_ms": round(1e3 * taken["ours"], 2),
        "apart": round(((first.mean(0) - second.mean(0)).abs() / error).max().item(), 2),
    }


def write_lines(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Yield the last run as Markdown, missed targets first, then the slowest gains."""
    last = [row for row in rows if row["started"] == rows[-1]["started"]]
    place = last[0]
    yield "# Samples of Monte Carlo dropout"
    yield ""
    yield (
        f"{place['samples']} samples of a batch of {place['batch']}, by a loop over full passes and by `mc_samples`; "
        f"medians, rounds in random order. {place['machine']}; threads: {place['threads']}; {place['versions']}; "
        f"commit {place['commit']}; {place['started']}."
    )
    yield ""
    gains = {row["network"]: float(row["loop_ms"]) / float(row["ours_ms"]) for row in last}
    body = []
    for row in sorted(last, key=lambda row: (gains[row["network"]] >= float(row["target"]), gains[row["network"]])):
        gain, target = gains[row["network"]], float(row["target"])
        shown = f"{gain:.2f}" if gain >= target else f"**{gain:.2f}**"
        wanted = f"{target:g}" if target else ""
        body.append([row["network"], row["loop_ms"], row["ours_ms"], shown, wanted, row["apart"]])
    header = ("network", "loop, ms", "ours, ms", "times as fast", "at least", "means apart, standard errors")
    yield from table(header, body)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    place = asdict(here())
    for name, case in NETWORKS.items():
        cells = measure(case, options.samples, options.batch, options.seconds)
        given = {"samples": options.samples, "batch": options.batch, "target": case.target}
        append(options.out, place | {"network": name} | given | cells)
    options.out.with_name("table.md").write_text("\n".join(write_lines(read_cells(options.out))) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each network, or 4 rounds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    main()
