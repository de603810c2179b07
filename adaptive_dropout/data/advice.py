"""Two pieces of Lightning's advice that are wrong for data in memory, kept quiet while such data is being used.

One asks for worker processes, which would only copy tensors to and fro; the other says that an epoch is shorter than
the logging interval, which every small data set is. The filters hold from `silence` to `unsilence`, not from import
on, so a slow loader used afterwards in the same process is still advised.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, cast

from lightning.fabric.utilities.warnings import PossibleUserWarning

__all__ = ["silence", "unsilence"]

_ADVICE = (
    r"The '\w+' does not have many workers",
    r"The number of training batches \(\d+\) is smaller than the logging interval",
)


def silence() -> None:
    """Ignore the two messages; calling it again changes nothing."""
    for message in _ADVICE:
        warnings.filterwarnings("ignore", message, PossibleUserWarning)


def unsilence() -> None:
    """Take back exactly the filters of `silence`, whatever else was added since."""
    # Not catch_warnings: it would also drop the filters that libraries imported during the run have added.
    active = cast("list[Any]", warnings.filters)
    for message in _ADVICE:
        ours = ("ignore", re.compile(message, re.IGNORECASE), PossibleUserWarning, None, 0)
        if ours in active:
            active.remove(ours)
