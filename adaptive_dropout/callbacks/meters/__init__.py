"""What is measured in a Lightning run for a controller that asks for it, one meter a file."""

from adaptive_dropout.callbacks.meters.meters import Meters

__all__ = ["Meters"]
