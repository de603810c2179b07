"""`CNN`: a plain sequence of convolutions; its rates are called ``dropout1``, ``dropout2``, ..."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from adaptive_dropout.modules import Dropout
from adaptive_dropout.networks.factory import DropoutFactory, check_sizes, new_layer

__all__ = ["CNN"]


class CNN(nn.Sequential):
    """Convolutions, then a dense layer, dropout after each: (batch, channels, size, size) -> (batch, out_features).

    Each convolution is 3x3, keeps the size, and is followed by ReLU and 2x2 max-pooling, which halves it. With the two
    convolutions of the default there are three dropout layers: ``dropout1`` and ``dropout2`` on maps, ``dropout3``
    on the dense layer.

    Args:
        in_channels: channels of the image; 1 for grey, 3 for colour.
        out_features: the number of outputs: classes, or targets.
        image_size: height and width in pixels; 28 for MNIST, 8 for scikit-learn's digits.
        channels: the number of maps of each convolution; at least one convolution.
        hidden: the width of the dense layer.
        dropout: makes one dropout layer per call, without arguments.

    Raises:
        TypeError: ``dropout`` is a layer instead of something that makes layers, or a size is not an integer.
        ValueError: a size is less than 1, there is no convolution, or the image is too small to be halved that often.
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
        check_sizes(in_channels=[in_channels], out_features=[out_features], image_size=[image_size])
        check_sizes(channels=channels, hidden=[hidden])
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
            parts[f"dropout{i}"] = new_layer(dropout)
        last = len(channels) + 1
        parts["flatten"] = nn.Flatten()
        parts["linear"] = nn.Linear(channels[-1] * (image_size // 2 ** len(channels)) ** 2, hidden)
        parts[f"relu{last}"] = nn.ReLU()
        parts[f"dropout{last}"] = new_layer(dropout)
        parts["output"] = nn.Linear(hidden, out_features)
        super().__init__(parts)
