"""The sections of the table, each measured in a process of its own, which has a number of seconds.

What breaks on a device often breaks the process with it; the other sections then still run.
"""

from __future__ import annotations

import argparse
import importlib
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.gpu.results import make_row
from benchmarks.gpu.run import Run
from benchmarks.study.place import here
from benchmarks.study.rows import append

__all__ = ["SECTIONS", "Section"]

LAST = 0.8  # the part of its seconds after which a section begins nothing new


@dataclass(frozen=True)
class Section:
    """What the table says about a section.

    Args:
        title: its heading.
        says: how to read the numbers.
        seconds: after which its process is ended.
        by_size: whether there is one table for each setting with sizes as columns; else quantities are the columns.
    """

    title: str
    says: str
    seconds: int
    by_size: bool = False


SECTIONS = {
    "bits": Section(
        "Bits", "Kernels on the device beside the references in torch operations on the CPU, from the same keys.", 40
    ),
    "layers": Section(
        "Layers",
        "From one seed the compiled layer is compared with the eager one while p takes 21 values.",
        55,
    ),
    "synchronisation": Section(
        "Synchronisation", "Whether it runs under `torch.cuda.set_sync_debug_mode('error')`.", 35
    ),
    "times": Section(
        "Times",
        "Microseconds / times `nn.Dropout` / share of the copy bandwidth, by the number of elements; p is 0.3. "
        "`dropout_add` is compared with `nn.Dropout` and an addition.",
        100,
        by_size=True,
    ),
    "host": Section("Host", "A tensor of 64 elements; kernels, launches and operations are of one call.", 20),
    "crossing": Section(
        "Beside torch's own kernel",
        "Forward and backward of our layer over `F.dropout(x, 0.3)`; from is the size from which none is above 1.",
        20,
        by_size=True,
    ),
    "attention": Section("Attention", "Forward and backward; MB are those above the inputs.", 50),
    "training": Section(
        "Training step",
        "A GPT of 6 x 384, 6 heads, context 256, batch 64, bf16-mixed, AdamW fused; ms a step. Without validations it "
        "is the median step, with them the mean of a fit with 4 batches every 60 steps, decisions included.",
        150,
    ),
}


def main() -> None:
    """Measure one section and append its rows."""
    options = _parser().parse_args()
    begun = time.monotonic()
    torch.manual_seed(0)
    place = here(options.started, options.device, "caching" if options.device == "cuda" else "default")
    run = Run(options.device, options.quick, begun + LAST * options.seconds)
    for measured in importlib.import_module(f"benchmarks.gpu.{options.section}").measure(run):
        append(options.out, make_row(place, options.section, measured))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.sections", description=__doc__)
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("--started", required=True)
    parser.add_argument("--device", required=True, choices=("cuda", "cpu"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", required=True, type=float, help="after which the process is ended")
    parser.add_argument("--out", required=True, type=Path)
    return parser


if __name__ == "__main__":
    main()
