"""Run the missing cells and write the table: ``python -m benchmarks.beyond --data-dir DIR --jobs 1``.

Without the name of a study it is the one in ``rates.yaml``; another one is ``python -m benchmarks.beyond NAME ...``.
"""

from __future__ import annotations

import sys

from benchmarks.beyond.experiment import BEYOND
from benchmarks.study.command import main

if __name__ == "__main__":
    named = len(sys.argv) > 1 and not sys.argv[1].startswith("-")
    sys.exit(main(BEYOND, sys.argv[1:] if named else ["rates", *sys.argv[1:]]))
