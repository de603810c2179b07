"""What is measured in a Lightning run for a controller that asks for it, one meter a file."""

from adaptive_dropout.callbacks.meters.all import Meters

__all__ = ["Meters"]
