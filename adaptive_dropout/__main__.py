"""``python -m adaptive_dropout`` is ``adaptive-dropout``."""

import sys

from adaptive_dropout.cli import main

sys.exit(main())
