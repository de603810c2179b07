"""Run the missing cells of a study, ``rates`` by default: ``python -m benchmarks.beyond [NAME] --data-dir DIR``."""

from __future__ import annotations

import sys

from benchmarks.beyond.experiment import BEYOND
from benchmarks.study.command import main

if __name__ == "__main__":
    named = len(sys.argv) > 1 and not sys.argv[1].startswith("-")
    sys.exit(main(BEYOND, sys.argv[1:] if named else ["rates", *sys.argv[1:]]))
