"""Train the missing cells and write the report: ``python -m benchmarks.effect mnist-small --data-dir DATA``."""

from __future__ import annotations

import sys

from benchmarks.effect.experiment import EFFECT
from benchmarks.study.command import main

if __name__ == "__main__":
    sys.exit(main(EFFECT))
