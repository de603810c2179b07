"""Is the trio as fast as its plain form? ``python -m benchmarks.words.speed``, on an idle machine; under 3 minutes.

Locked dropout, weight drop on an LSTM and embedding dropout, forward and backward, on windows of 20 x 35 words. All
contenders of a noise and a width take turns in one process; ratios are of medians.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from benchmarks.report.markdown import table
from benchmarks.speed.timing import Call, cpu_clock, interleaved
from benchmarks.study.place import Place, here
from benchmarks.study.rows import append, read
from benchmarks.words.text import BATCH, TIMES

__all__ = ["NOISES", "Row", "lines", "main"]

P = 0.4
VOCABULARY = 10_000
WIDTHS = (200, 650, 1150)
OURS, NAIVE, WITHOUT = "ours", "plain form", "without noise"

HEAD = """Microseconds of a forward and backward pass. "Plain form" is the noise as one writes it in torch: a mask from
`bernoulli_` for each sequence; `F.dropout` of the recurrent weights, set as an attribute of the LSTM; a dropped copy of
the whole embedding matrix. A ratio above 1 is faster than that form; what is slower stands first. "Largest spread" is
half the distance of the quartiles, as a share of the median."""


@dataclass(frozen=True)
class Row(Place):
    """The median time of one contender, and half the distance of its quartiles as a share of it."""

    noise: str
    width: int
    contender: str
    microseconds: float
    spread: float


class PlainLocked(nn.Module):
    """A mask for each sequence, drawn in place."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, (time, batch, features), with noise."""
        return x * x.new_empty(1, *x.shape[1:]).bernoulli_(1 - P).div_(1 - P)


class PlainWeightDrop(nn.Module):
    """An LSTM whose recurrent weights are an attribute, set anew for each pass."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width)
        self.weight = nn.Parameter(self.lstm.weight_hh_l0.detach())
        del self.lstm.weight_hh_l0

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the LSTM."""
        self.lstm.weight_hh_l0 = F.dropout(self.weight, P)
        output: Tensor = self.lstm(x)[0]
        return output


class PlainEmbedding(nn.Embedding):
    """A dropped copy of the whole matrix."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the embeddings of ``tokens``."""
        kept = self.weight.new_empty(len(self.weight), 1).bernoulli_(1 - P).div_(1 - P)
        return F.embedding(tokens, kept * self.weight)


NOISES: dict[str, dict[str, Callable[[int], nn.Module]]] = {
    "locked dropout": {
        OURS: lambda width: ad.LockedDropout(P),
        NAIVE: lambda width: PlainLocked(),
        WITHOUT: lambda width: nn.Identity(),
    },
    "weight drop": {
        OURS: lambda width: ad.WeightDrop.on(nn.LSTM(width, width), "weight_hh_l0", p=P),
        NAIVE: PlainWeightDrop,
        WITHOUT: lambda width: nn.LSTM(width, width),
    },
    "embedding dropout": {
        OURS: lambda width: ad.EmbeddingDropout(VOCABULARY, width, p=P),
        NAIVE: lambda width: PlainEmbedding(VOCABULARY, width),
        WITHOUT: lambda width: nn.Embedding(VOCABULARY, width),
    },
}


def _call(layer: nn.Module, noise: str, width: int, device: str) -> Call:
    words = noise == "embedding dropout"
    x = torch.randint(VOCABULARY, (TIMES, BATCH)) if words else torch.randn(TIMES, BATCH, width)
    layer, leaf = layer.to(device), x.to(device)
    inputs = [*layer.parameters()] if words else [leaf.requires_grad_(), *layer.parameters()]
    gradient = torch.randn(TIMES, BATCH, width, device=device)

    def call() -> None:
        y = layer(leaf)
        torch.autograd.grad(y[0] if isinstance(y, tuple) else y, inputs, gradient)

    return call


def _waiting_clock(call: Call, repeats: int) -> float:
    def waiting() -> None:
        call()
        torch.cuda.synchronize()

    return cpu_clock(waiting, repeats)


def lines(rows: list[Row]) -> list[str]:
    """Return the page: of each noise and width the ratio, the slowest first."""
    times = {(row.noise, row.width, row.contender): row for row in rows}
    cases = {(row.noise, row.width) for row in rows}
    ratio = {(n, w): times[n, w, NAIVE].microseconds / times[n, w, OURS].microseconds for n, w in cases}
    body = []
    for noise, width in sorted(cases, key=lambda case: ratio[case]):
        shown = (f"{times[noise, width, who].microseconds:.0f}" for who in (OURS, NAIVE, WITHOUT))
        spread = max(times[noise, width, who].spread for who in (OURS, NAIVE))
        body.append([noise, str(width), f"{ratio[noise, width]:.2f}", *shown, f"{spread:.2f}"])
    header = ("noise", "width", "times as fast", OURS, NAIVE, WITHOUT, "largest spread")
    place = f"Measured on: {rows[0].machine}; {rows[0].versions}; {rows[0].threads} thread."
    return ["# The trio beside its plain form", "", *HEAD.splitlines(), "", *table(header, body), "", place]


def main() -> None:
    """Measure all, append to the results and write the page of this run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.words.speed", description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each noise and width")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "speed.csv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    place = here(device=options.device)
    clock = cpu_clock if options.device == "cpu" else _waiting_clock
    for noise, contenders in NOISES.items():
        for width in options.widths:
            calls = {name: _call(new(width), noise, width, options.device) for name, new in contenders.items()}
            for name, taken in interleaved(calls, clock, 3, options.seconds).items():
                median, quartiles = statistics.median(taken), statistics.quantiles(taken, n=4)
                spread = round((quartiles[2] - quartiles[0]) / 2 / median, 3)
                append(options.out, Row(**asdict(place), noise=noise, width=width, contender=name,
                                        microseconds=round(median * 1e6, 2), spread=spread))  # fmt: skip
    rows = [row for row in read(options.out, Row) if row.started == place.started]
    name = "speed.md" if options.device == "cpu" else "speed-gpu.md"
    options.out.with_name(name).write_text("\n".join(lines(rows)) + "\n")


if __name__ == "__main__":
    main()
