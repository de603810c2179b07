"""The signals that a controller is given in a Lightning run, one meter a file."""

from adaptive_dropout.callbacks.meters.signals import Meters

__all__ = ["Meters"]
