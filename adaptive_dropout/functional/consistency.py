"""How far apart two predictions for the same examples are: what R-Drop adds to the loss."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["symmetric_bernoulli_kl", "symmetric_kl"]


def symmetric_kl(first: Tensor, second: Tensor, mask: Tensor | None = None, dim: int = -1) -> Tensor:
    """Return the mean of (KL(P || Q) + KL(Q || P)) / 2, P and Q the softmax of two ``logits``; 0-dim, in nats.

    The mean is over examples, or over tokens of a text, so it does not grow with the batch; 0 if ``mask`` keeps none.
    Gradients reach both. It is computed in float32, in float64 for float64. A class at -inf in both counts as none.

    With R-Drop the loss of a step is ``(loss1 + loss2) / 2 + alpha * symmetric_kl(logits1, logits2)``, from two passes
    of the same batch in training mode.

    Args:
        first: logits; log-probabilities will do.
        second: of the same shape.
        mask: the shape of the logits without ``dim``; True where they count, False at padding.
        dim: of the classes, of which there are two or more.

    Raises:
        ValueError: the shapes differ, there are fewer than two classes, or ``mask`` has another shape.

    Source: Liang et al. (2021), "R-Drop", equations 1 to 3; their code takes the mean of the two losses, not the sum.
    """
    _check_shapes(first, second)
    if not -first.dim() <= dim < first.dim() or first.shape[dim] < 2:
        raise ValueError(
            f"symmetric_kl takes two classes or more in dimension {dim}, but got shape {tuple(first.shape)}; for one "
            "logit a class there is symmetric_bernoulli_kl"
        )
    log_p, log_q = (_wide(x).log_softmax(dim) for x in (first, second))
    difference = (log_p - log_q).masked_fill(log_p == log_q, 0.0)  # -inf minus -inf is NaN
    return _mean(((log_p.exp() - log_q.exp()) * difference).sum(dim) / 2, mask)


def symmetric_bernoulli_kl(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return `symmetric_kl` where each logit is that of a yes or no of its own; ``mask`` is of their shape."""
    _check_shapes(first, second)
    first, second = _wide(first), _wide(second)
    return _mean((first.sigmoid() - second.sigmoid()) * (first - second) / 2, mask)


def _check_shapes(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise ValueError(f"the logits of the two passes differ in shape: {tuple(first.shape)}, {tuple(second.shape)}")


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _mean(values: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return values.mean() if values.numel() else values.sum()
    if mask.shape != values.shape:
        raise ValueError(f"mask has to be of shape {tuple(values.shape)}, but got {tuple(mask.shape)}")
    # Not values * mask: what padding holds may be NaN.
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)
