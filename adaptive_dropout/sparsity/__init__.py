"""What sparse layers have dropped: a report of a model, and the model without the noise and the dropped weights."""

from adaptive_dropout.sparsity.pruning import prune
from adaptive_dropout.sparsity.report import SparseRow, Sparsity, sparsity

__all__ = ["SparseRow", "Sparsity", "prune", "sparsity"]
