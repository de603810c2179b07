"""What learned rates and weights add to the loss."""

from adaptive_dropout.penalties.total import penalty

__all__ = ["penalty"]
