"""Train the missing runs and write the table: ``python -m benchmarks.images --data DATA``.

With ``--size full --device cuda`` it is the larger network on all images.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.images.methods import METHODS
from benchmarks.images.table import write_table
from benchmarks.images.training import Images, Size, train
from benchmarks.study.data import CIFAR10_FILES, read_cifar10
from benchmarks.study.place import Place, here
from benchmarks.study.rows import append, read

__all__ = ["SIZES", "Row", "main"]

RESULTS = Path(__file__).with_name("results.csv")
SIZES = {
    "small": Size(blocks=1, width=8, n_train=3_000, n_test=2_000, epochs=8, batch=50, lr=0.1),
    "full": Size(blocks=3, width=32, n_train=50_000, n_test=10_000, epochs=15, batch=512, lr=0.3),
}


@dataclass(frozen=True)
class Row(Place):
    """A run.

    Args:
        size: a name in `SIZES`.
        settings: what that was.
        method: a name in `methods.METHODS`.
        seed: of the weights, the batches and the noise.
        test_accuracy: of the weights at the end; nothing was chosen by it.
        test_loss: nats.
        train_loss: nats, over the last epoch, noise and shifts included.
        lost: the share of a map that is zero behind noise on maps, at the rates of the end.
        seconds: of training and test.
    """

    size: str
    settings: str
    method: str
    seed: int
    test_accuracy: float
    test_loss: float
    train_loss: float
    lost: float
    seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the results lack, one seed of all methods after the other."""
    options = _parser().parse_args(arguments)
    size = SIZES[options.size]
    folder = options.data / "cifar10_jpeg" if (options.data / "cifar10_jpeg").is_dir() else options.data
    if missing := [name for name in CIFAR10_FILES if not (folder / name).is_file()]:
        sys.exit(f"there is no {' and no '.join(missing)} in {str(folder)!r}")
    torch.set_num_threads(options.threads)
    read_images = read_cifar10(folder, size.n_train, size.n_test)
    images = [Images(part.x.permute(0, 2, 3, 1), torch.as_tensor(part.y)) for part in read_images]
    on_device = tuple(Images(part.x.contiguous().to(options.device), part.y.to(options.device)) for part in images)
    done = {(row.size, row.settings, row.method, row.seed) for row in read(options.out, Row)}
    for seed in options.seeds:
        for method in options.methods:
            if (options.size, str(size), method, seed) in done:
                continue
            numbers = train(size, method, seed, on_device)  # type: ignore[arg-type]
            place = asdict(here(device=options.device, allocator="caching" if options.device == "cuda" else "default"))
            row = Row(**place, size=options.size, settings=str(size), method=method, seed=seed, **numbers)
            append(options.out, row)
            print(f"{method}, seed {seed}: {row.test_accuracy:.4f}, {row.seconds:.0f} s", file=sys.stderr, flush=True)
    write_table(read(options.out, Row), options.out.with_name("table.md"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with cifar10_jpeg/, or with its two files")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "1")))
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    main()
