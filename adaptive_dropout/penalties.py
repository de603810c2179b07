"""What learned rates and weights add to the loss, and what keeps weights small."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptive_dropout.checks import check_count, check_p
from adaptive_dropout.functional.concrete import concrete_kl
from adaptive_dropout.modules import Penalised
from adaptive_dropout.rates import Rate

__all__ = ["MeanLoss", "concrete_penalty", "l1", "l2", "max_norm_", "penalty"]

NEAREST = 2.0**-24  # how near p may come to 0 and 1: the penalty is off by less than 1e-6 nats a unit there
LOSSES = {"nll": 1.0, "heteroscedastic": 2.0, "squared_error": 2.0}
CONSTRAINED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def penalty(model: nn.Module, n: int) -> Tensor:
    """Return the divergences of all `Penalised` modules of ``model``, each counted once, divided by ``n``.

    Add it to the mean negative log-likelihood: both are then in nats per example, as in the evidence lower bound.

    Args:
        model: any module that has at least one `Penalised` module in it.
        n: examples in the training set.

    Returns:
        0-dim, float32, with gradient.

    Raises:
        TypeError: ``n`` is not an integer.
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


@dataclass(frozen=True)
class MeanLoss:
    """The loss that a divergence is added to: what it averages over the examples, and how many of them there are.

    >>> MeanLoss("squared_error", n=50, precision=4.0).of(100.0)
    1.0

    Args:
        kind: "nll", any negative log-likelihood in nats, such as cross-entropy; "heteroscedastic", twice that of a
            Gaussian, exp(-s) (y - mean)^2 + s with s the log-variance; "squared_error", (y - mean)^2 without 1/2.
        n: examples in the training set.
        precision: tau > 0, one over the variance of the observations; for "squared_error" only.

    Raises:
        TypeError: ``n`` is not an integer.
        ValueError: ``kind`` is none of these, ``n`` is less than 1, or ``precision`` is missing, not above 0, or given
            for a loss that does not use it.
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
        """Convert ``nats`` for the whole training set, a float or a tensor, to the units of this loss."""
        return nats * (LOSSES[self.kind] / ((self.precision or 1.0) * self.n))


def concrete_penalty(weight: Tensor, p: float | Tensor, units: int, length_scale: float, loss: MeanLoss) -> Tensor:
    """Return w |W|^2 / (1 - p) + d K (p ln p + (1 - p) ln(1 - p)), to be added to ``loss``; 0-dim, with gradient.

    d is 1/N for a negative log-likelihood, 2/N for the heteroscedastic loss and 2 / (tau N) for the squared error; w is
    always d l^2 / 2. `ConcreteDropout.wrap` and `penalty` do this for a model: multiply `penalty` by d N where the loss
    is not a negative log-likelihood. The result is finite at p = 0 and p = 1.

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
        TypeError: ``units`` is not an integer.
        ValueError: ``units`` is less than 1, ``length_scale`` is not above 0, or ``p`` is outside [0, 1].

    Source: Gal, Hron and Kendall (2017), equations 2 to 4; the factors are those of the authors' code.
    """
    check_count(units, "units")
    if not 0 < length_scale < math.inf:
        raise ValueError(f"length_scale has to be above 0 and finite, but got {length_scale}")
    if not isinstance(p, Tensor):
        p = torch.full((), check_p(p), device=weight.device)
    p = p.to(torch.promote_types(p.dtype, torch.float32))
    nats: Tensor = concrete_kl([weight], torch.logit(p, eps=NEAREST), units, length_scale)
    return loss.of(nats)  # type: ignore[arg-type, return-value]  # it multiplies a tensor as well


def l1(model: nn.Module) -> Tensor:
    """Return the sum of |w| over the weights of ``model``; 0-dim, float32 at least, with gradient.

    Weights are the parameters of two or more dimensions that require a gradient, each counted once: those of dense
    layers, convolutions, attention, recurrent layers and embeddings. Biases, the scales of normalisation layers and
    the parameters of rates are left out.

    >>> l1(nn.Linear(2, 3)).dim()
    0

    Raises:
        ValueError: the model has no such weights.
    """
    return torch.stack([_widen(weight).abs().sum() for weight in _weights(model)]).sum()


def l2(model: nn.Module) -> Tensor:
    """Return the sum of w^2 over the same weights as `l1`; 0-dim, float32 at least, with gradient.

    ``strength * l2(model)`` in the loss of plain gradient descent is a weight decay of ``2 * strength``.

    Raises:
        ValueError: the model has no such weights.
    """
    return torch.stack([_widen(weight).square().sum() for weight in _weights(model)]).sum()


@torch.no_grad()
def max_norm_(model: nn.Module, norm: float) -> None:
    """Scale down, in place, the weights into each unit or channel of ``model`` whose 2-norm is above ``norm``.

    The weights of `torch.nn.Linear` and of convolutions are constrained; biases and all other parameters are not. Call
    it after each step of the optimizer. It keeps weights from exploding at the high learning rates that suit dropout.

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


def _weights(model: nn.Module) -> list[nn.Parameter]:
    learned = {id(part) for module in model.modules() if isinstance(module, Rate) for part in module.parameters()}
    found = [w for w in model.parameters() if w.dim() >= 2 and w.requires_grad and id(w) not in learned]
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no weights (parameters of two or more dimensions that require a gradient), "
            "so there is no norm to penalise"
        )
    return found


def _widen(weight: Tensor) -> Tensor:
    """Return ``weight`` in float32, or in float64 if it is."""
    return weight.to(torch.promote_types(weight.dtype, torch.float32))
