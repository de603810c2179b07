"""`BernoulliDropout`: a true mask of zeros and ones whose p is learned, without bias, from a second forward pass."""

from __future__ import annotations

from typing import ClassVar, NoReturn

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.rates import LearnedRate, Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["BernoulliDropout"]


class BernoulliDropout(NoiseLayer):
    """Zero each element with probability p in training, multiply the others by 1 / (1 - p); p is learned. Any shape.

    A mask of zeros and ones has no derivative, but the mean loss over masks has one. `DisARM` and `ARM` estimate it
    without bias from a second forward pass: ``loss = DisARM().loss(model, loss_fn)``, or with Lightning the callback
    `BernoulliGradient`. A backward pass without them raises, because the gradient would lack the part of the mask.

    The loss of the data alone drives p to where its mean is lowest, in most networks 0.

    Args:
        p: where the learned p starts, strictly between 0 and 1; or a rate, as ``LearnedRate(0.1, (features,))`` for a
            p for each unit; or a schedule.

    Source: Boluki et al. (2020), "Learnable Bernoulli dropout for Bayesian deep learning", there with ARM.
    """

    learnable: ClassVar[bool] = True

    estimated: bool = False
    """Whether an estimator is running the layer, and adds the part of the mask to p's gradient."""

    def __init__(self, p: float | Schedule | Rate = 0.1) -> None:
        super().__init__(p)

    def _rate_from(self, p: float) -> Rate:
        return LearnedRate(p)

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.bernoulli_dropout` of ``x``."""
        if p.requires_grad and not self.estimated:
            p.register_hook(_refuse)  # type: ignore[no-untyped-call]
        return F.bernoulli_dropout(x, p)


def _refuse(_: Tensor) -> NoReturn:
    raise RuntimeError(
        "the learned p of BernoulliDropout needs a second forward pass; train on DisARM().loss(model, loss_fn), "
        "or give the Trainer the callback BernoulliGradient()"
    )
