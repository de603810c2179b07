"""A user's own validation, run on a copy of the module in a trainer of its own: nothing of the run is touched."""

from adaptive_dropout.callbacks.isolated.validation import (
    IsolatedValidation,
    Validated,
    find_logged_metrics,
    losses_of_batches,
)

__all__ = ["IsolatedValidation", "Validated", "find_logged_metrics", "losses_of_batches"]
