"""The estimators: frozen settings, a weight for each entry of a mask, and the loss to call backward on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptive_dropout.estimators.antithetic import estimating, run_antithetic
from adaptive_dropout.functional.antithetic import AntitheticPair
from adaptive_dropout.noise.philox import LEVELS

__all__ = ["ARM", "DisARM", "Estimator"]


@dataclass(frozen=True)
class Estimator(ABC):
    """Gives the learned p of every `BernoulliDropout` of a model an unbiased gradient."""

    @abstractmethod
    def weight(self, pair: AntitheticPair) -> Tensor:
        """Return w, in the shape of the mask.

        The mean of (L(b) - L(b~)) w has to be the part of d E[L] / d logit p that comes from the mask.
        """

    def loss(self, model: nn.Module, loss_fn: Callable[[], Tensor]) -> Tensor:
        """Return the mean of ``loss_fn()``, whose backward pass gives learned rates an unbiased gradient too.

        ``loss_fn`` runs twice. The first run has no gradient, and each `BernoulliDropout` draws the antithetic mask;
        all other noise is the same in both runs. The second run is an ordinary one. The value, the gradients of the
        weights, buffers such as those of BatchNorm, and the state of torch's generators are as after a single run.
        Scaling, clipping, accumulation and averaging over processes work as for any loss.

        >>> import torch
        >>> from adaptive_dropout import BernoulliDropout, DisARM
        >>> model, x = nn.Sequential(BernoulliDropout(0.3), nn.Linear(8, 1)), torch.ones(4, 8)
        >>> DisARM().loss(model, lambda: model(x).square().mean(1)).backward()

        Args:
            model: in training mode; holds the layers.
            loss_fn: runs the model and returns its loss: 0-dim; or (batch,), one loss for each example, if each depends
                on no masks but those of its own example. The variance for a batch of 64 losses is then 1/64, but in
                every layer the first dimension has to be that of the examples, and no BatchNorm may mix them.

        Raises:
            ValueError: the model has no learned `BernoulliDropout` in training mode; or there are losses of examples
                that BatchNorm mixes, or whose number is not that of a layer's examples.
        """
        antithetic = run_antithetic(model, loss_fn, self.weight)
        with estimating(model):
            losses = loss_fn()
        return losses.mean() + antithetic.term(losses)


@dataclass(frozen=True)
class ARM(Estimator):
    """Augment, REINFORCE, merge: the weight 1/2 - u, for a u that keeps where u >= p.

    `DisARM` is its mean for given masks, and varies less.

    >>> ARM()
    ARM()

    Source: Yin and Zhou (2019), theorem 1, for the logit of keeping, which is minus that of p.
    """

    def weight(self, pair: AntitheticPair) -> Tensor:
        """Return 1/2 - u."""
        return 0.5 - pair.uniform()


@dataclass(frozen=True)
class DisARM(Estimator):
    """ARM without the noise that the masks do not show: the weight (b~ - b) max(p, q) / 2, with q = 1 - p.

    It is 0 for each entry that the two masks have in common.

    >>> DisARM()
    DisARM()

    Source: Dong, Mnih and Tucker (2020), section 3; Yin et al. (2020) found the same and call it U2G.
    """

    def weight(self, pair: AntitheticPair) -> Tensor:
        """Return (b~ - b) max(p, q) / 2."""
        p = pair.lost / LEVELS
        return (pair.antithetic() - pair.kept()) * torch.maximum(p, 1 - p) / 2
