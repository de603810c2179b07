"""Two small reference networks with dropout in the classical places, every dropout layer with a rate of its own.

Both are plain sequences whose parts have readable names: the rates are called ``dropout1``, ``dropout2``, ...
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import nn

from adaptive_dropout.counts import check_count
from adaptive_dropout.modules import Dropout

__all__ = ["CNN", "MLP", "DropoutFactory"]

DropoutFactory = Callable[[], nn.Module]
"""Called once for each place that gets a dropout layer, which takes a copy; a class such as `Dropout` is one."""


class MLP(nn.Sequential):
    """Dense layers with ReLU, a dropout layer after each hidden one: (batch, ...) -> (batch, out_features).

    Everything but the first dimension is flattened.

    Args:
        in_features: how many numbers one input holds.
        out_features: how many numbers come out: classes, or targets.
        hidden: the widths of the hidden layers, at least one.
        dropout: makes one dropout layer per call, without arguments.

    Raises:
        TypeError: ``dropout`` is a layer instead of something that makes layers, or a size is no integer.
        ValueError: a size is less than 1, or there is no hidden layer and so no dropout.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: Sequence[int] = (128, 128),
        dropout: DropoutFactory = Dropout,
    ) -> None:
        _check_sizes(in_features=[in_features], out_features=[out_features], hidden=hidden)
        parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        for i, (before, after) in enumerate(zip([in_features, *hidden], hidden, strict=False), start=1):
            parts[f"linear{i}"] = nn.Linear(before, after)
            parts[f"relu{i}"] = nn.ReLU()
            parts[f"dropout{i}"] = _new(dropout)
        parts["output"] = nn.Linear(hidden[-1], out_features)
        super().__init__(parts)


class CNN(nn.Sequential):
    """Convolutions, then a dense layer, dropout after each: (batch, channels, size, size) -> (batch, out_features).

    Each convolution is 3x3, keeps the size, and is followed by ReLU and 2x2 max-pooling, which halves it. With the two
    convolutions of the default there are three dropout layers: ``dropout1`` and ``dropout2`` on maps, ``dropout3``
    on the dense layer.

    Args:
        in_channels: channels of the image: 1 for grey, 3 for colour.
        out_features: how many numbers come out: classes, or targets.
        image_size: height and width in pixels; 28 for MNIST, 8 for scikit-learn's digits.
        channels: how many maps each convolution makes, at least one number.
        hidden: the width of the dense layer.
        dropout: makes one dropout layer per call, without arguments.

    Raises:
        TypeError: ``dropout`` is a layer instead of something that makes layers, or a size is no integer.
        ValueError: a size is less than 1, there is no convolution, or the image cannot be halved that often.
    """

    def __init__(
        self,
        in_channels: int,
        out_features: int,
        image_size: int = 28,
        channels: Sequence[int] = (32, 64),
        hidden: int = 128,
        dropout: DropoutFactory = Dropout,
    ) -> None:
        _check_sizes(in_channels=[in_channels], out_features=[out_features], image_size=[image_size])
        _check_sizes(channels=channels, hidden=[hidden])
        if image_size < 2 ** len(channels):
            raise ValueError(
                f"image_size has to be at least {2 ** len(channels)}, because {len(channels)} poolings halve it, "
                f"but got {image_size}"
            )
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for i, (before, after) in enumerate(zip([in_channels, *channels], channels, strict=False), start=1):
            parts[f"conv{i}"] = nn.Conv2d(before, after, kernel_size=3, padding=1)
            parts[f"relu{i}"] = nn.ReLU()
            parts[f"pool{i}"] = nn.MaxPool2d(2)
            parts[f"dropout{i}"] = _new(dropout)
        last = len(channels) + 1
        parts["flatten"] = nn.Flatten()
        parts["linear"] = nn.Linear(channels[-1] * (image_size // 2 ** len(channels)) ** 2, hidden)
        parts[f"relu{last}"] = nn.ReLU()
        parts[f"dropout{last}"] = _new(dropout)
        parts["output"] = nn.Linear(hidden, out_features)
        super().__init__(parts)


def _new(dropout: DropoutFactory) -> nn.Module:
    if isinstance(dropout, nn.Module):
        raise TypeError(f"dropout has to make layers, such as lambda: {dropout!r}, but got the layer itself")
    # A factory made from a configuration builds a LearnedRate once and hands it to every layer: they would share it.
    return copy.deepcopy(dropout())


def _check_sizes(**sizes: Sequence[int]) -> None:
    for name, values in sizes.items():
        if not values:
            raise ValueError(f"{name} has to hold at least one size, but got {values!r}")
        for value in values:
            check_count(value, name)
