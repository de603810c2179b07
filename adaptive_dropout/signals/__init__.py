"""Measurements that a controller decides on, one a file; torch only, usable in any training loop."""

from adaptive_dropout.signals.running_loss import RunningLoss

__all__ = ["RunningLoss"]
