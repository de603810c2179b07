"""The cost of a learned rate in process time beside that of a fixed rate, on digits that ship with scikit-learn.

``python -m benchmarks.learned.compare_cost > benchmarks/learned/compare_cost.md`` writes the page.
"""

from __future__ import annotations

import sys

from benchmarks.control.cost import main
from benchmarks.learned.methods import LEARNED

if __name__ == "__main__":
    print("# What a learned rate costs\n")
    main(["--tasks", "digits:200", "--repeats", "3", *sys.argv[1:]], LEARNED, list(LEARNED))
