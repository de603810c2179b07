"""Measurements that a controller decides on, one a file; usable in any training loop."""

from adaptive_dropout.signals.clean_loss import CleanLoss
from adaptive_dropout.signals.running_loss import RunningLoss

__all__ = ["CleanLoss", "RunningLoss"]
