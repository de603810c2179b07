"""CIFAR-10: 60 000 small colour photographs of ten kinds of things."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from adaptive_dropout.data.downloaded import DownloadedImages
from adaptive_dropout.data.images import LabelledImages

__all__ = ["CIFAR10"]


class CIFAR10(DownloadedImages):
    """Photographs, 32x32 colour pixels; 50 000 to train and validate, 10 000 to test.

    A batch is float32 (batch, 3, 32, 32) and int64 labels (batch,) in 0 ... 9. ``root`` holds ``cifar-10-batches-py``.
    The usual ``train_transform`` is ``v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])``. The
    other arguments and the errors are those of `DownloadedImages`.

    Source: Krizhevsky (2009).
    """

    num_classes = 10
    in_channels = 3
    image_size = 32
    num_features = 3072

    source = "CIFAR10"
    folder = "cifar-10-batches-py"
    files = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")

    def labelled(self, source: Any) -> LabelledImages:
        """Return the images with channels first."""
        x = torch.from_numpy(source.data).permute(0, 3, 1, 2).contiguous()
        return LabelledImages(x, np.asarray(source.targets, dtype=np.int64))
