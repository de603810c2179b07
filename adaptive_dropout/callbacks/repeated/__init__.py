"""A user's training step, run again on the same batch with other dropout masks, as if it had run once."""

from adaptive_dropout.callbacks.repeated.callback import RepeatedStep

__all__ = ["RepeatedStep"]
