"""Times of DropBlock beside its form in torch operations, and of a residual block beside one that skips no work.

``python -m benchmarks.images.speed [--device cuda]`` appends to ``speed.csv`` and writes ``speed.md``.
"""

from __future__ import annotations

import argparse
import functools
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from benchmarks.images.network import Block, NoNoise
from benchmarks.images.noises import inside_drop_block
from benchmarks.images.table import list_places
from benchmarks.report.markdown import table
from benchmarks.speed.timing import Call, Clock, cpu_clock, interleaved
from benchmarks.study.place import Place, here
from benchmarks.study.rows import append, read

__all__ = ["Row", "main"]

RESULTS = Path(__file__).with_name("speed.csv")
MAPS = [(32, 256, 14, 14), (32, 512, 7, 7), (128, 32, 16, 16), (128, 64, 8, 8), (8, 64, 56, 56)]
PS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
BATCHES = [(128, 64, 16, 16), (32, 64, 16, 16)]


@dataclass(frozen=True)
class Row(Place):
    """Ours and the other, timed in turns, forward and backward.

    Args:
        what: "DropBlock" or "DropPath".
        shape: of the input, float32.
        p: the rate.
        rounds: how often each was timed.
        ours: milliseconds, the median.
        other: the same for torch operations, or for a branch that runs on all examples.
        ratio: of the two.
    """

    what: str
    shape: str
    p: float
    rounds: int
    ours: float
    other: float
    ratio: float


class Whole(nn.Module):
    """A block of which all the work is done."""

    def __init__(self, block: Block, path: ad.DropPath) -> None:
        super().__init__()
        self.block, self.path = block, path

    def forward(self, x: Tensor) -> Tensor:
        """Return the map behind the block."""
        y: Tensor = x + self.path(self.block.branch(x))
        return y


def cases(device: str) -> Iterator[tuple[str, tuple[int, ...], float, Call, Call]]:
    """Yield what is measured: its name, shape and rate, our call and the other."""
    for shape in MAPS:
        ours, naive = ad.DropBlock2d(0.1).to(device), functools.partial(inside_drop_block, p=0.1)
        yield "DropBlock", shape, 0.1, _pass(ours, shape, device), _pass(naive, shape, device)
    for shape in BATCHES:
        for p in PS:
            path = ad.DropPath(p)
            block = Block(shape[1], shape[1], 1, path, NoNoise()).to(device)
            yield "DropPath", shape, p, _pass(block, shape, device), _pass(Whole(block, path), shape, device)


def _pass(call: Callable[[Tensor], Tensor], shape: tuple[int, ...], device: str) -> Call:
    weights = list(call.parameters()) if isinstance(call, nn.Module) else []
    x = torch.randn(shape, device=device, requires_grad=True)
    gradient = torch.randn(shape, device=device)
    return lambda: torch.autograd.grad(call(x), [x, *weights], gradient)


def _cuda_clock(call: Call, repeats: int) -> float:
    def waited() -> None:
        call()
        torch.cuda.synchronize()

    return cpu_clock(waited, repeats)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all cases, append them to the results and write the table."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    clock: Clock = _cuda_clock if options.device == "cuda" else cpu_clock
    place = here(device=options.device, allocator="caching" if options.device == "cuda" else "default")
    for what, shape, p, ours, other in cases(options.device):
        taken = interleaved({"ours": ours, "other": other}, clock, options.repeats, options.seconds)
        times = {name: 1e3 * statistics.median(each) for name, each in taken.items()}
        text = " x ".join(map(str, shape))
        ratio = times["ours"] / times["other"]
        row = Row(**asdict(place), what=what, shape=text, p=p, rounds=len(taken["ours"]), **times, ratio=ratio)
        append(options.out, row)
        print(f"{what}, {text}, p {p}: {row.ours:.2f} ms beside {row.other:.2f}, {row.ratio:.3f}", flush=True)
    options.out.with_name("speed.md").write_text("\n".join(_page(read(options.out, Row))) + "\n")


def _page(rows: Sequence[Row]) -> Iterator[str]:
    yield "# Times\n\nForward and backward, medians in milliseconds, of turns in one process; losing rows first.\n"
    last = {(row.device, row.what, row.shape, row.p): row for row in rows}
    header = ("device", "layer", "input", "p", "ours", "torch operations, or no work skipped", "ratio")
    ordered = sorted(last.values(), key=lambda row: -row.ratio)
    yield from table(
        header,
        ((r.device, r.what, r.shape, f"{r.p:g}", f"{r.ours:.2f}", f"{r.other:.2f}", f"{r.ratio:.3f}") for r in ordered),
    )
    yield "\n" + list_places(list(last.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images.speed", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each case")
    parser.add_argument("--repeats", type=int, default=1, help="calls in a row that are timed as one")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    main()
