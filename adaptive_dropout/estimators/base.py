"""What an estimator is: frozen settings, a weight for each entry of a mask, and the loss to call backward on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from adaptive_dropout.estimators.twin import paired, run_twin
from adaptive_dropout.functional.paired import Pair

__all__ = ["Estimator"]


@dataclass(frozen=True)
class Estimator(ABC):
    """Gives the learned p of every `BernoulliDropout` of a model an unbiased gradient."""

    @abstractmethod
    def weight(self, pair: Pair) -> Tensor:
        """Return w, in the shape of the mask: (L(b) - L(b~)) w is, on average, d E[L] / d logit p by the mask alone."""

    def loss(self, model: nn.Module, loss_fn: Callable[[], Tensor]) -> Tensor:
        """Return the mean of ``loss_fn()``, whose backward pass gives learned rates an unbiased gradient too.

        ``loss_fn`` runs twice: without gradient, where each `BernoulliDropout` draws the twin of its mask and all else
        draws the same noise, then as ever. The value, the gradients of the weights, buffers as of BatchNorm, and where
        torch's generators stand are as after a single run. Scaling, clipping, accumulation and averaging over processes
        work as for any loss.

        >>> import torch
        >>> from adaptive_dropout import BernoulliDropout, DisARM
        >>> model, x = nn.Sequential(BernoulliDropout(0.3), nn.Linear(8, 1)), torch.ones(4, 8)
        >>> DisARM().loss(model, lambda: model(x).square().mean(1)).backward()

        Args:
            model: in training mode; holds the layers.
            loss_fn: runs the model and returns its loss: 0-dim; or (batch,), one for each example, where each differs
                by its own masks only. A batch of 64 losses then has 1/64 of the variance, but every layer has to have
                the examples first, and no BatchNorm may mix them.

        Raises:
            ValueError: the model has no learned `BernoulliDropout` in training mode; or losses of examples that
                BatchNorm mixes, or that are not as many as a layer has.
        """
        twin = run_twin(model, loss_fn, self.weight)
        with paired(model):
            losses = loss_fn()
        return losses.mean() + twin.term(losses)
