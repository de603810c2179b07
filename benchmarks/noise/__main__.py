"""Measure and append: ``python -m benchmarks.noise --sizes 1024 1048576 --threads 1 2 --rounds 30``.

For outputs that are not fresh memory each time, start it with MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ set to
2000000000; the rows say so.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks.noise.contenders import CONTENDERS, REFERENCE, saved_bytes
from benchmarks.noise.results import RESULTS, Row, append, here
from benchmarks.noise.timing import backward_and_forward, forward, interleaved

SIZES = [1 << n for n in (10, 13, 16, 20, 22)]


def main() -> None:
    options = _parser().parse_args()
    place = here()
    for threads in options.threads:
        torch.set_num_threads(threads)
        for size in options.sizes:
            for what, timed in (("forward", forward), ("forward+backward", backward_and_forward)):
                layers = {name: new() for name, new in CONTENDERS.items()}
                calls = {name: timed(layer, torch.randn(size)) for name, layer in layers.items()}
                seconds = interleaved(calls, options.rounds)
                for name, layer in layers.items():
                    commit, machine, versions, allocator = place
                    saved = saved_bytes(layer, torch.randn(size, requires_grad=True))
                    took, ratio = seconds[name] * 1e6, seconds[REFERENCE] / seconds[name]
                    row = (threads, allocator, what, size, name, round(took, 2), round(ratio, 3), round(saved, 3))
                    append(options.out, Row(commit, machine, versions, *row))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noise", description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="elements of a float32 input")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    main()
