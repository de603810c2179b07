"""The signals that a controller is given in a Lightning run: `Measurement` combines the meters, one per file."""

from adaptive_dropout.callbacks.meters.measurement import Measurement
from adaptive_dropout.callbacks.meters.monitored import Monitored

__all__ = ["Measurement", "Monitored"]
