"""The signals that a controller is given in a Lightning run: what is measured together, and one meter a file."""

from adaptive_dropout.callbacks.meters.measurement import Measurement
from adaptive_dropout.callbacks.meters.monitored import Monitored

__all__ = ["Measurement", "Monitored"]
