"""Dropout at chosen places of a CNN with two convolutions; the others have p = 0."""

from __future__ import annotations

import functools
from collections import OrderedDict

from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.checks import check_p
from benchmarks.study.study import Kinds
from benchmarks.supervised.method import Method, none

__all__ = ["ALL", "METHODS"]

PLACES = {"input": "dropout0", "conv1": "dropout1", "conv2": "dropout2", "dense": "dropout3"}
"""What a place is called: its layer in the network."""

ALL = " ".join(PLACES)
"""Every place, as a study writes several of them."""


def after(places: str = "dense", p: float = 0.3) -> Method:
    """Bernoulli masks with a fixed ``p`` on what leaves each of ``places``, words of `PLACES`: pixels, maps, units."""
    named = places.split()
    if unknown := [name for name in named if name not in PLACES]:
        raise ValueError(f"no place {unknown[0]!r}; there are {', '.join(PLACES)}")
    if not named:
        raise ValueError(f"places has to name at least one of {', '.join(PLACES)}, but is empty")
    rates = dict.fromkeys((PLACES[name] for name in named), check_p(p))
    return Method(functools.partial(ad.Dropout, 0.0), change=functools.partial(_placed, rates))


def _placed(rates: dict[str, float], network: nn.Module) -> nn.Module:
    placed = nn.Sequential(OrderedDict([("dropout0", ad.Dropout(0.0)), *network.named_children()]))
    ad.set_rates(placed, rates)
    return placed


METHODS: Kinds = {"none": none, "after": after}
"""Every kind of method by its name."""
