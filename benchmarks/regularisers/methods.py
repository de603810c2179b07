"""Six regularisers side by side, each absent at 0, and above 0 as strong as it says."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Sequence

import lightning.pytorch as L
from torch import nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.callbacks import L1Penalty, L2Penalty, MaxNorm
from adaptive_dropout.checks import check_p
from benchmarks.study.study import Kinds
from benchmarks.supervised.method import Method

__all__ = ["METHODS", "normalised"]

_NORMS = {nn.Linear: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d}


def combined(
    dropout: float = 0.0,
    l2: float = 0.0,
    l1: float = 0.0,
    max_norm: float = 0.0,
    label_smoothing: float = 0.0,
    batch_norm: float = 0.0,
) -> Method:
    """Every regulariser that is above 0, together.

    Args:
        dropout: p of Bernoulli masks after each hidden layer.
        l2: strength of the sum of squared weights in the loss, which under Adam is not AdamW's weight decay.
        l1: strength of the sum of absolute weights in the loss.
        max_norm: the largest norm of the weights into a unit.
        label_smoothing: the share of each label that goes to all classes alike, in [0, 1]: Szegedy et al. (2016).
        batch_norm: in front of each ReLU, the momentum of its running statistics, in [0, 1]: Ioffe and Szegedy (2015).
    """
    check_p(label_smoothing, "label_smoothing")
    check_p(batch_norm, "batch_norm")
    given = [(L2Penalty, l2), (L1Penalty, l1), (MaxNorm, max_norm)]
    callbacks = functools.partial(_callbacks, [(kind, strength) for kind, strength in given if strength != 0])
    callbacks()  # raises if a strength is out of range
    loss = functools.partial(F.cross_entropy, label_smoothing=label_smoothing)
    layer = functools.partial(ad.Dropout, dropout)
    if batch_norm == 0:
        return Method(layer, callbacks, train_loss=loss)
    return Method(layer, callbacks, functools.partial(normalised, batch_norm), loss)


def normalised(momentum: float, network: nn.Module) -> nn.Module:
    """Return ``network``, a plain sequence, with batch normalisation in front of each ReLU."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    before: nn.Module = network
    for name, part in network.named_children():
        if isinstance(part, nn.ReLU):
            parts[name.replace("relu", "norm")] = _NORMS[type(before)](len(before.weight), momentum=momentum)  # type: ignore[arg-type]
        parts[name] = before = part
    return nn.Sequential(parts)


def _callbacks(chosen: Sequence[tuple[type[L2Penalty] | type[L1Penalty] | type[MaxNorm], float]]) -> list[L.Callback]:
    return [kind(strength) for kind, strength in chosen]


METHODS: Kinds = {"combined": combined}
"""Every kind of method by its name."""
