"""Measurements that a controller decides on, one a file; usable in any training loop."""

from adaptive_dropout.signals.clean_loss import CleanLoss
from adaptive_dropout.signals.hypergradient import hypergradient
from adaptive_dropout.signals.response import Response
from adaptive_dropout.signals.running_loss import RunningLoss

__all__ = ["CleanLoss", "Response", "RunningLoss", "hypergradient"]
