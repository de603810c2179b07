"""Train the missing cells and write the table: ``python -m benchmarks.words small --data-dir DATA``."""

from __future__ import annotations

import sys

from benchmarks.study.command import main
from benchmarks.words.experiment import WORDS

if __name__ == "__main__":
    sys.exit(main(WORDS))
