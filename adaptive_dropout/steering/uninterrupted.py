"""`uninterrupted`: a decision or a restore is carried out in full, or not at all, whenever Ctrl-C is pressed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["uninterrupted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back what Python does on SIGINT and SIGTERM until the block is done.

    A KeyboardInterrupt in the middle would leave half of the weights restored, or rates without their decision. Only
    the main thread handles signals, so in another one there is nothing to hold back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    # Those of the system end the process, or ignore the signal: nothing sees the middle.
    ours = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in ours:
        signal.signal(number, lambda received, frame: held.append((received, frame)))
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        for received, frame in held:
            ours[signal.Signals(received)](received, frame)
