"""The sum of what all modules of a model add to the loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adaptive_dropout.counts import check_count
from adaptive_dropout.modules import Penalised

__all__ = ["penalty"]


def penalty(model: nn.Module, n: int) -> Tensor:
    """Return the divergences of all `Penalised` modules of ``model``, each counted once, divided by ``n``.

    Add it to the mean negative log-likelihood of an example: both are in nats per example then, as in the evidence
    lower bound.

    Args:
        model: any module that has at least one `Penalised` module in it.
        n: examples in the training set.

    Returns:
        0-dim, float32, with gradient.

    Raises:
        TypeError: ``n`` is no integer.
        ValueError: ``n`` is less than 1, or the model has no module with a divergence.

    Source: Kingma et al. (2015), equations 2 and 3.
    """
    check_count(n, "n")
    terms = [module.kl() for module in model.modules() if isinstance(module, Penalised)]
    if not terms:
        raise ValueError(
            f"{type(model).__name__} has no module with a divergence, so there is no penalty; "
            "wrap a layer, as in ConcreteDropout.wrap(nn.Linear(4, 4))"
        )
    return torch.stack([term.float() for term in terms]).sum() / n
