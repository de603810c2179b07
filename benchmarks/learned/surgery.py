"""A task's plain network turned into that of a method, after its weights are drawn: all methods begin with the same.

Networks are `adaptive_dropout.networks.MLP` with two hidden layers, and noise comes where the grid's dropout is, behind
each of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import lightning.pytorch as L
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.functional import molchanov_kl
from adaptive_dropout.modules import ConcreteLayer

__all__ = ["START", "Surgery", "bernoulli", "concrete", "sparse", "standout"]

START = 0.1
"""p of every method at first."""

LENGTH_SCALE = 1e-4  # of the prior of the weights, as published for the toy problem


class Surgery(L.Callback):
    """Changes ``pl_module.network`` before the optimizer is made.

    Args:
        change: replaces layers of the network, in place.
    """

    def __init__(self, change: Callable[[nn.Module], None]) -> None:
        self.change = change

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Change the network when training is set up; when it is tested, it has been changed."""
        if stage == "fit":
            assert isinstance(pl_module.network, nn.Module)
            self.change(pl_module.network)


def concrete(network: nn.Module) -> None:
    """Wrap both dense layers behind a dropout, which the wrap takes the place of."""
    network.linear2 = ad.ConcreteDropout.wrap(_dense(network.linear2), START, LENGTH_SCALE)
    network.output = ad.ConcreteDropout.wrap(_dense(network.output), START, LENGTH_SCALE)
    network.dropout1 = network.dropout2 = nn.Identity()


def bernoulli(network: nn.Module) -> None:
    """Do what `concrete` does, with masks of zeros and ones.

    The divergence is the same: it was derived for such masks, which the soft ones approximate. The squares of the
    weights and the entropy do not depend on the mask that is drawn, so p has the exact gradient of that part.
    """
    network.linear2 = ConcreteLayer(_dense(network.linear2), ad.BernoulliDropout(START), LENGTH_SCALE)
    network.output = ConcreteLayer(_dense(network.output), ad.BernoulliDropout(START), LENGTH_SCALE)
    network.dropout1 = network.dropout2 = nn.Identity()


def sparse(network: nn.Module) -> None:
    """Give the weights of all three dense layers noise of their own, in place of dropout.

    The divergence is the published one, which takes a quarter of the time of the exact one.
    """
    for name in ("linear1", "linear2", "output"):
        layer = ad.SparseLinear.from_dense(_dense(getattr(network, name)))
        layer.divergence = molchanov_kl
        setattr(network, name, layer)
    network.dropout1 = network.dropout2 = nn.Identity()


def standout(network: nn.Module) -> None:
    """Let both hidden layers decide which of their own units stay; p is `START` where a unit's input is 0."""
    keep = -math.log(START / (1 - START))
    for name in ("1", "2"):
        layer, activation = getattr(network, f"linear{name}"), getattr(network, f"relu{name}")
        setattr(network, f"linear{name}", ad.Standout(layer, activation, beta=keep))
        setattr(network, f"relu{name}", nn.Identity())
        setattr(network, f"dropout{name}", nn.Identity())


def _dense(layer: object) -> nn.Linear:
    assert isinstance(layer, nn.Linear)
    return layer
