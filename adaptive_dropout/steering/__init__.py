"""Steering: the loop that every framework shares, and the weights that it goes back to. Torch only."""

from adaptive_dropout.steering.loop import ControlLoop
from adaptive_dropout.steering.snapshot import Snapshot

__all__ = ["ControlLoop", "Snapshot"]
