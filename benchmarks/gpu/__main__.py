"""Measure and write the table: ``python -m benchmarks.gpu``, under 8 minutes on an idle machine with one GPU."""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.gpu.results import RESULTS, Row, make_row
from benchmarks.gpu.run import Measured
from benchmarks.gpu.sections import SECTIONS
from benchmarks.gpu.table import write_lines
from benchmarks.study.place import here, now
from benchmarks.study.rows import append, read, repair

__all__ = ["main", "run_section"]

SLOWER = 4  # times as many seconds on a CPU, whose kernels may have to be compiled
DRY = Path("runs/gpu/results.csv")  # a dry run does not belong among the results


def main(arguments: Sequence[str] | None = None) -> None:
    """Start a process for each section, one after the other."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no GPU; --device cpu --quick is a dry run of what can run without one")
    if options.device == "cpu" and not options.quick:
        parser.error("the full sizes take hours on a CPU; add --quick")
    out = options.out or (DRY if options.quick else RESULTS)
    started = now()
    for name in options.sections:
        print(name, file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks.gpu.sections", name, f"--started={started}"]
        command += [f"--device={options.device}", f"--out={out}", *(["--quick"] if options.quick else [])]
        seconds = SECTIONS[name].seconds * (SLOWER if options.device == "cpu" else 1)
        why = run_section([*command, f"--seconds={seconds}"], seconds)
        if why:
            repair(out)
            place = here(started, options.device)
            append(out, make_row(place, name, Measured("", "", "", "", math.nan, why)))
    out.with_name("table.md").write_text("\n".join(write_lines(read(out, Row))) + "\n")
    print(out.with_name("table.md"))


def run_section(command: Sequence[str], seconds: float) -> str:
    """Run the process of a section; return why it did not end well, or an empty string."""
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"not done after {seconds:g} s"
    if done.returncode == 0:
        return ""
    print(done.stderr, file=sys.stderr)
    last = (done.stderr.strip().splitlines() or [""])[-1]
    return f"exit status {done.returncode}: {last[:200]}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu: a dry run")
    parser.add_argument("--quick", action="store_true", help="small and few sizes, nothing compiled by inductor")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--out", type=Path, help="by default results.csv beside this file; of a quick run in runs/gpu/")
    return parser


if __name__ == "__main__":
    main()
