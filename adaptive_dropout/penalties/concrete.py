"""The penalty of concrete dropout in the units of the loss that it is added to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from adaptive_dropout.counts import check_count
from adaptive_dropout.functional.concrete_kl import concrete_kl
from adaptive_dropout.probability import check_p

__all__ = ["MeanLoss", "concrete_penalty"]

NEAREST = 2.0**-24  # to 0 and 1, that p may come: the penalty is off by less than 1e-6 nats a unit there
LOSSES = {"nll": 1.0, "heteroscedastic": 2.0, "squared_error": 2.0}


@dataclass(frozen=True)
class MeanLoss:
    """Which loss a divergence is added to: what is averaged over examples, and how many of them there are.

    >>> MeanLoss("squared_error", n=50, precision=4.0).of(100.0)
    1.0

    Args:
        kind: "nll", any negative log-likelihood in nats, such as cross-entropy; "heteroscedastic", its double
            exp(-s) (y - mean)^2 + s with s the log-variance; "squared_error", (y - mean)^2 without 1/2.
        n: examples in the training set.
        precision: tau > 0, one over the variance of the observations; for "squared_error" only.

    Raises:
        TypeError: ``n`` is no integer.
        ValueError: ``kind`` is none of these, ``n`` is less than 1, or ``precision`` is not above 0 or has no use.
    """

    kind: str
    n: int
    precision: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in LOSSES:
            raise ValueError(f"kind has to be one of {', '.join(LOSSES)}, but got {self.kind!r}")
        check_count(self.n, "n")
        if (self.precision is None) == (self.kind == "squared_error"):
            raise ValueError(f"precision is for 'squared_error', which needs it, but got {self.precision} with {self}")
        if self.precision is not None and not 0 < self.precision < math.inf:
            raise ValueError(f"precision has to be above 0 and finite, but got {self.precision}")

    def of(self, nats: float) -> float:
        """Return what ``nats`` for the whole training set, a float or a tensor, are in units of this loss."""
        return nats * (LOSSES[self.kind] / ((self.precision or 1.0) * self.n))


def concrete_penalty(weight: Tensor, p: float | Tensor, units: int, length_scale: float, loss: MeanLoss) -> Tensor:
    """Return w |W|^2 / (1 - p) + d K (p ln p + (1 - p) ln(1 - p)), to be added to ``loss``; 0-dim, with gradient.

    d is 1/N for a negative log-likelihood, 2/N for the heteroscedastic loss and 2 / (tau N) for the squared error; w is
    always d l^2 / 2. `ConcreteDropout.wrap` and `penalty` do this for a model: multiply `penalty` by d N where the loss
    is no negative log-likelihood. p at 0 or 1 gives finite values.

    >>> loss = MeanLoss("heteroscedastic", n=1000)
    >>> round(concrete_penalty(torch.ones(8, 4), 0.5, units=4, length_scale=1.0, loss=loss).item(), 5)
    0.05845

    Args:
        weight: W of the layer behind the dropout, any shape.
        p: the drop probability in [0, 1]; a tensor is 0-dim.
        units: K, elements of one mask: input features, or input channels of a convolution. Times and pixels share them.
        length_scale: l > 0, of the prior of the weights.
        loss: what the penalty is added to, and for how many examples.

    Raises:
        TypeError: ``units`` is no integer.
        ValueError: ``units`` is less than 1, ``length_scale`` is not above 0, or ``p`` is outside [0, 1].

    Source: Gal, Hron and Kendall (2017), equations 2 to 4; the factors are those of the authors' code.
    """
    check_count(units, "units")
    if not 0 < length_scale < math.inf:
        raise ValueError(f"length_scale has to be above 0 and finite, but got {length_scale}")
    if not isinstance(p, Tensor):
        p = torch.tensor(check_p(p), device=weight.device)
    p = p.to(torch.promote_types(p.dtype, torch.float32))
    nats: Tensor = concrete_kl([weight], torch.logit(p, eps=NEAREST), units, length_scale)
    return loss.of(nats)  # type: ignore[arg-type, return-value]  # whatever can be multiplied
