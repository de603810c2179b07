"""`Method`: one way to regularise a run; and the three with which most studies compare."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lightning.pytorch as L
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.networks import DropoutFactory
from benchmarks.supervised.run import Run, fit as fit_run

__all__ = ["Method", "adaptive", "none", "standard"]


def _leave(network: nn.Module) -> nn.Module:
    return network


@dataclass(frozen=True)
class Method:
    """One way to regularise, or none.

    Args:
        dropout: makes a dropout layer; it is called once here, so that a p out of range raises at once.
        callbacks: makes the callbacks of one run.
        change: changes the new network of one run, and returns it.
        train_loss: the training loss of logits (batch, classes) and labels (batch,); evaluation is always by NLL.
        fit: trains a run that has been set up, with its trainer, and returns the run at its end.
    """

    dropout: DropoutFactory
    callbacks: Callable[[], Sequence[L.Callback]] = tuple
    change: Callable[[nn.Module], nn.Module] = _leave
    train_loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    fit: Callable[[Run, L.Trainer], Run] = fit_run

    def __post_init__(self) -> None:
        self.dropout()


def none() -> Method:
    """The same network, its dropout at 0."""
    return Method(functools.partial(ad.Dropout, 0.0))


def standard(p: float = 0.3) -> Method:
    """Bernoulli masks with a fixed ``p``: Srivastava et al. (2014)."""
    return Method(functools.partial(ad.Dropout, p))


def adaptive(p: float = 0.3) -> Method:
    """`RewindController`, the default of `AdaptiveDropout`, from ``p`` on."""
    return Method(functools.partial(ad.Dropout, p), lambda: [DropoutRateControl(ad.RewindController())])
