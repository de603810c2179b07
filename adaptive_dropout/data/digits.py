"""The default data: real handwritten digits that come with scikit-learn, without a download or a file."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

from adaptive_dropout.data.base import Examples, TensorDataModule
from adaptive_dropout.data.splits import check_fraction, three_way
from adaptive_dropout.data.training_part import TrainingPart

__all__ = ["Digits"]


class Digits(TensorDataModule):
    """1797 handwritten digits, 8x8 pixels with 17 grey levels, written by 13 people.

    A batch is float32 (batch, 1, 8, 8) with values in [0, 1] and int64 labels (batch,) in 0 ... 9. Split by seed, every
    class in its share: 1078 to train, 360 to validate, 359 to test. Noise and subsets touch the training part only.

    Args:
        batch_size: images in a batch.
        n_train: how many training images are used, at least 10; None uses all.
        label_noise: the fraction of training labels replaced by another class, in [0, 1].
        val_fraction: the part of all images that validates, in (0, 1).
        test_fraction: the part of all images that tests, in (0, 1); which ones depends only on it and on ``seed``.
        seed: fixes the split, the subset, the noise and the training order.

    Raises:
        TypeError: a value is not a number.
        ValueError: a value is out of its range; ``n_train`` exceeds the training part (at `setup`).

    Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI: the test part.
    """

    num_classes = 10
    in_channels = 1
    image_size = 8
    num_features = 64

    def __init__(
        self,
        batch_size: int = 64,
        n_train: int | None = None,
        label_noise: float = 0.0,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, seed)
        self.part = TrainingPart(n_train, label_noise, seed)
        self.val_fraction = check_fraction(val_fraction, "val_fraction")
        self.test_fraction = check_fraction(test_fraction, "test_fraction")

    def examples(self) -> tuple[Examples, Examples, Examples]:
        """Read the images and split them."""
        images, labels = load_digits(return_X_y=True)
        x = torch.from_numpy(images).float().div(16.0).reshape(-1, 1, 8, 8)
        y = labels.astype(np.int64)
        train, val, test = three_way(y, self.val_fraction, self.test_fraction, self.seed)
        chosen, noisy = self.part.select(y[train])
        return (
            Examples(x[train[chosen]], torch.from_numpy(noisy)),
            Examples(x[val], torch.from_numpy(y[val])),
            Examples(x[test], torch.from_numpy(y[test])),
        )
