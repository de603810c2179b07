"""Max-norm: the weights that come into a unit are kept within a ball."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["max_norm_"]

CONSTRAINED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@torch.no_grad()
def max_norm_(model: nn.Module, norm: float) -> None:
    """Scale down, in place, the weights into each unit or channel of ``model`` whose 2-norm is above ``norm``.

    Those of `torch.nn.Linear` and convolutions are constrained, biases and all else are not. Call it after each step
    of the optimizer. With it a high learning rate, which dropout profits from, does not make weights explode.

    >>> layer = nn.Linear(2, 3)
    >>> max_norm_(layer, 0.5)
    >>> bool((layer.weight.norm(dim=1) <= 0.5 + 1e-6).all())
    True

    Args:
        model: any module.
        norm: above 0; 2 to 4 are usual in dense layers.

    Raises:
        ValueError: ``norm`` is not above 0, or nothing in the model can be constrained.

    Source: Srivastava et al. (2014), section 5.1.
    """
    if not norm > 0:
        raise ValueError(f"norm has to be above 0, but got {norm}")
    layers = [module for module in model.modules() if isinstance(module, CONSTRAINED)]
    if not layers:
        raise ValueError(
            f"{type(model).__name__} has no nn.Linear and no convolution, so there is nothing to constrain"
        )
    for layer in layers:
        torch.renorm(layer.weight, 2, 0, norm, out=layer.weight)
