"""What learned rates and weights add to the loss, and what keeps weights small."""

from adaptive_dropout.penalties.concrete import MeanLoss, concrete_penalty
from adaptive_dropout.penalties.max_norm import max_norm_
from adaptive_dropout.penalties.norms import l1, l2
from adaptive_dropout.penalties.total import penalty

__all__ = ["MeanLoss", "concrete_penalty", "l1", "l2", "max_norm_", "penalty"]
