"""MNIST: 70 000 handwritten digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptive_dropout.data.downloaded import DownloadedImages
from adaptive_dropout.data.images import LabelledImages

__all__ = ["MNIST"]


class MNIST(DownloadedImages):
    """Handwritten digits, 28x28 grey pixels; 60 000 to train and validate, 10 000 to test.

    A batch is float32 (batch, 1, 28, 28) and int64 labels (batch,) in 0 ... 9. ``root`` holds ``MNIST/raw`` with the
    four unpacked idx files. The other arguments and the errors are those of `DownloadedImages`.

    Source: LeCun et al. (1998).
    """

    num_classes = 10
    in_channels = 1
    image_size = 28
    num_features = 784

    source = "MNIST"
    folder = "MNIST/raw"
    files = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))

    def labelled(self, source: Any) -> LabelledImages:
        """Return the images with a channel dimension."""
        return LabelledImages(source.data.unsqueeze(1), source.targets.numpy().astype(np.int64))
