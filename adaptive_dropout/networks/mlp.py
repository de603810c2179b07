"""`MLP`: a plain sequence of dense layers; its rates are called ``dropout1``, ``dropout2``, ..."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from adaptive_dropout.modules import Dropout
from adaptive_dropout.networks.factory import DropoutFactory, check_sizes, new_layer

__all__ = ["MLP"]


class MLP(nn.Sequential):
    """Dense layers with ReLU, a dropout layer after each hidden one: (batch, ...) -> (batch, out_features).

    Everything but the first dimension is flattened.

    Args:
        in_features: the number of features of one input.
        out_features: the number of outputs: classes, or targets.
        hidden: the widths of the hidden layers, at least one.
        dropout: makes one dropout layer per call, without arguments.

    Raises:
        TypeError: ``dropout`` is a layer instead of something that makes layers, or a size is not an integer.
        ValueError: a size is less than 1, or there is no hidden layer, and so no dropout.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: Sequence[int] = (128, 128),
        dropout: DropoutFactory = Dropout,
    ) -> None:
        check_sizes(in_features=[in_features], out_features=[out_features], hidden=hidden)
        parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        for i, (before, after) in enumerate(zip([in_features, *hidden], hidden, strict=False), start=1):
            parts[f"linear{i}"] = nn.Linear(before, after)
            parts[f"relu{i}"] = nn.ReLU()
            parts[f"dropout{i}"] = new_layer(dropout)
        parts["output"] = nn.Linear(hidden[-1], out_features)
        super().__init__(parts)
