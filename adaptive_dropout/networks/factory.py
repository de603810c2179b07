"""Shared by the networks: a new dropout layer for each place, and the check of sizes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from torch import nn

from adaptive_dropout.checks import check_count

__all__ = ["DropoutFactory", "check_sizes", "new_layer"]

DropoutFactory = Callable[[], nn.Module]
"""Called once for each dropout layer, of which the network takes a copy; a class such as `Dropout` is one."""


def new_layer(dropout: DropoutFactory) -> nn.Module:
    """Return a layer with a rate of its own.

    Raises:
        TypeError: ``dropout`` is a layer instead of something that makes layers.
    """
    if isinstance(dropout, nn.Module):
        raise TypeError(f"dropout has to make layers, such as lambda: {dropout!r}, but got the layer itself")
    # A factory made from a configuration builds a LearnedRate once and gives it to every layer, so all would share it.
    return copy.deepcopy(dropout())


def check_sizes(**sizes: Sequence[int]) -> None:
    """Raise unless all sizes are counts; the keyword is their name in the message.

    Raises:
        TypeError: a size is not an integer.
        ValueError: a size is less than 1, or there is none.
    """
    for name, values in sizes.items():
        if not values:
            raise ValueError(f"{name} has to hold at least one size, but got {values!r}")
        for value in values:
            check_count(value, name)
