"""`prune`: ordinary layers of torch's in place of sparse ones."""

from __future__ import annotations

from torch import nn

from adaptive_dropout.modules import SparseLayer
from adaptive_dropout.sparsity.report import check_sparse

__all__ = ["prune"]


def prune(model: nn.Module) -> nn.Module:
    """Put ordinary layers in the place of the sparse layers of ``model``, with zeros for the weights that are dropped.

    In eval mode the model gives what it gave before, and its ``state_dict`` has the keys of a model without this
    library. A layer that stands in several places stays one layer.

    >>> from adaptive_dropout import SparseLinear
    >>> model = prune(nn.Sequential(SparseLinear(8, 4)))
    >>> model[0]
    Linear(in_features=8, out_features=4, bias=True)

    Returns:
        ``model`` itself, changed in place; if it is a sparse layer, the ordinary one.

    Raises:
        ValueError: the model has no sparse layer.
    """
    check_sparse(model)
    if isinstance(model, SparseLayer):
        return model.to_dense()
    made: dict[SparseLayer, nn.Module] = {}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, SparseLayer):
                if child not in made:
                    made[child] = child.to_dense()
                setattr(parent, name, made[child])
    return model
