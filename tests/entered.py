"""Counts the files of the package that a call enters: how far a reader has to walk to follow it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import adaptive_dropout

PACKAGE = Path(adaptive_dropout.__file__).parent


@contextmanager
def files_entered() -> Iterator[set[str]]:
    """Fill a set with the files whose functions are called, relative to the package."""
    found: set[str] = set()

    def look(frame: FrameType, event: str, _: object) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and PACKAGE in file.parents:
            found.add(str(file.relative_to(PACKAGE)))

    before = sys.gettrace()
    sys.settrace(look)
    try:
        yield found
    finally:
        sys.settrace(before)
