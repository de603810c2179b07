"""``python -m adaptive_dropout`` is ``adaptive-dropout``.

Python puts the current folder first among those that it imports from. It is taken out here, as the command does not
have it either; but what Python and this package import before that may come from there. In a folder that someone else
filled use the command, or ``python -P -m adaptive_dropout``.
"""

import os
import sys


def run() -> int:
    """Run the command that was given, and return its exit code."""
    safe = getattr(sys.flags, "safe_path", False)  # -P, of Python 3.11
    # A folder that the package itself was found in stays.
    if not safe and sys.path[0] == os.getcwd() != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
        sys.path.pop(0)
    from adaptive_dropout.cli import main

    return main()


sys.exit(run())
