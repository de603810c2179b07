"""Test the bits: ``python -m benchmarks.randomness``; some minutes on one core, the same files each time."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.randomness.results import RESULTS, judge, lines, measure
from benchmarks.randomness.streams import PHILOX
from benchmarks.study.rows import replace

SEEDS = (0, 10_000, 20_000)  # apart, because the seeds behind each one are used too


def main() -> int:
    options = _parser().parse_args()
    torch.set_num_threads(1)
    rows = [row for seed in options.seeds for row in measure(PHILOX, seed, options.n, options.length)]
    replace(options.out, rows)
    text = "\n".join(lines(rows, f"torch {torch.__version__.split('+')[0]}"))
    options.out.with_name("table.md").write_text(text + "\n")
    print(text.split("\n## ")[0])
    return 0 if judge([row.p for row in rows]).passed else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.randomness", description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--n", type=int, default=1 << 22, help="numbers of a stream, a multiple of 4096")
    parser.add_argument("--length", type=int, default=1 << 20, help="numbers of a sequence, a multiple of 65536")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
