"""Dropout as it was first published for MNIST: of pixels and of units, with a bound on the weights."""

from __future__ import annotations

import functools
from collections import OrderedDict

from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import MaxNorm
from adaptive_dropout.checks import check_p
from benchmarks.supervised.method import Method

__all__ = ["max_norm"]


def max_norm(p: float = 0.5, input_p: float = 0.2, norm: float = 2.0) -> Method:
    """Fixed ``p`` for units and ``input_p`` for pixels, weights into a unit of at most ``norm``: Srivastava (2014)."""
    change = functools.partial(_with_dropped_input, check_p(input_p, "input_p"))
    MaxNorm(norm)  # raises what is out of range
    return Method(functools.partial(ad.Dropout, p), lambda: [MaxNorm(norm)], change)


def _with_dropped_input(p: float, network: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict([("dropout0", ad.Dropout(p)), *network.named_children()]))
