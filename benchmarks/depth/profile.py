"""Fixed rates that fall or rise over the layers of a network, at a given mean.

The layers are those with dropout in order of execution. A transformer's block is one layer: its dropout after
attention and after the dense part share a rate. Dropout on an embedding is no part of the profile: it has the mean.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.checks import check_p
from adaptive_dropout.probability import expit, logit
from benchmarks.supervised.method import Method

__all__ = ["find_layers", "make_profile", "tilted"]

_HALVINGS = 60  # of an interval of logits: far below the spacing of float32


def make_profile(p: float, tilt: float, layers: int) -> list[float]:
    """Return a rate for each of ``layers``, from the first to the last, whose mean is ``p``.

    Layer l of L has the logit ``tilt`` (1/2 - l / (L - 1)) plus a constant, so with a ``tilt`` above 0 the rates fall
    over depth, with one below 0 they rise, and between first and last layer lie ``tilt`` logits.

    >>> [round(rate, 3) for rate in make_profile(0.1, 3.0, 6)]
    [0.252, 0.156, 0.092, 0.053, 0.03, 0.017]

    Args:
        p: in [0, 1]; 0 and 1 leave nothing to tilt.
        tilt: any finite number of logits.
        layers: at least 1; a single layer has ``p``.
    """
    check_p(p)
    if layers == 1 or tilt == 0.0 or p in (0.0, 1.0):
        return [p] * layers
    lean = [tilt * (0.5 - layer / (layers - 1)) for layer in range(layers)]
    low, high = logit(p) - abs(tilt), logit(p) + abs(tilt)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if sum(expit(middle + each) for each in lean) < p * layers:
            low = middle
        else:
            high = middle
    return [expit(low + each) for each in lean]


def find_layers(names: Iterable[str]) -> tuple[list[list[str]], list[str]]:
    """Return the rates of each layer, from the first to the last, and those that no tilt reaches.

    ``names`` are those of rates in the order of a network's modules, which is that of execution in the networks here.
    """
    layers: dict[str, list[str]] = {}
    apart = []
    for name in names:
        if "embedding" in name:
            apart.append(name)
        else:
            block = re.match(r"blocks\.\d+(?=\.)", name)
            layers.setdefault(block[0] if block else name, []).append(name)
    return list(layers.values()), apart


def tilted(p: float = 0.3, tilt: float = 0.0) -> Method:
    """Bernoulli masks with the mean rate ``p``, which falls by ``tilt`` logits from the first layer to the last."""
    make_profile(p, tilt, 2)  # raises if p is out of range
    return Method(functools.partial(ad.Dropout, 0.0), change=functools.partial(_tilt, p, tilt))


def _tilt(p: float, tilt: float, network: nn.Module) -> nn.Module:
    layers, apart = find_layers(ad.get_rates(network))
    rates = dict.fromkeys(apart, p)
    for names, rate in zip(layers, make_profile(p, tilt, len(layers)), strict=True):
        rates |= dict.fromkeys(names, rate)
    ad.set_rates(network, rates)
    return network
