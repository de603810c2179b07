"""The cost of a learned rate in process time, side by side with a fixed rate.

``python -m benchmarks.learned.compare_cost > benchmarks/learned/compare_cost.md`` uses digits that ship with
scikit-learn; ``--repeats 1`` is for a busy machine.
"""

from __future__ import annotations

import sys

from benchmarks.control.cost import main
from benchmarks.learned.methods import LEARNED

if __name__ == "__main__":
    print("# What a learned rate costs\n")
    main(["--tasks", "digits:200", "--repeats", "3", *sys.argv[1:]], LEARNED, list(LEARNED))
