"""L1 and L2: norms of the weights, to be combined with each other and with any dropout."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adaptive_dropout.rates import Rate

__all__ = ["l1", "l2"]


def l1(model: nn.Module) -> Tensor:
    """Return the sum of |w| over the weights of ``model``; 0-dim, float32 at least, with gradient.

    Weights are the parameters of two dimensions and more that require a gradient, each once: of dense layers,
    convolutions, attention, recurrent layers and embeddings. Biases, the scales of normalisation and what is learned of
    rates are left out.

    >>> l1(nn.Linear(2, 3)).dim()
    0

    Raises:
        ValueError: the model has no such weights.
    """
    return torch.stack([wide(weight).abs().sum() for weight in weights(model)]).sum()


def l2(model: nn.Module) -> Tensor:
    """Return the sum of w^2 over the weights of ``model``, those of `l1`; 0-dim, float32 at least, with gradient.

    ``strength * l2(model)`` in the loss of plain gradient descent is a weight decay of ``2 * strength``.

    Raises:
        ValueError: the model has no such weights.
    """
    return torch.stack([wide(weight).square().sum() for weight in weights(model)]).sum()


def weights(model: nn.Module) -> list[nn.Parameter]:
    """Return what `l1` and `l2` are on.

    Raises:
        ValueError: there is none.
    """
    learned = {id(part) for module in model.modules() if isinstance(module, Rate) for part in module.parameters()}
    found = [w for w in model.parameters() if w.dim() >= 2 and w.requires_grad and id(w) not in learned]
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no weights (parameters of two dimensions and more that require a gradient), "
            "so there is no norm to penalise"
        )
    return found


def wide(weight: Tensor) -> Tensor:
    """Return ``weight`` in float32, or in float64 if it is."""
    return weight.to(torch.promote_types(weight.dtype, torch.float32))
