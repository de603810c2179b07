"""Train the missing cells and write the report: ``python -m benchmarks.anchors cora --data-dir DATA``."""

from __future__ import annotations

import sys

from benchmarks.anchors.experiment import ANCHORS
from benchmarks.study.command import main

if __name__ == "__main__":
    sys.exit(main(ANCHORS))
