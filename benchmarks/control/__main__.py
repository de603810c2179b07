"""Train the missing cells: ``python -m benchmarks.control --methods 'fixed:*' --seeds 0 1 --data-dir DIR --jobs 2``."""

from __future__ import annotations

import sys

from benchmarks.control.command import main

if __name__ == "__main__":
    sys.exit(main())
