"""LightningDataModules: the embedded digits, the usual image sets from local files, and data of the user's own."""

from __future__ import annotations

from adaptive_dropout.data.arrays import Arrays
from adaptive_dropout.data.base import Examples, TensorDataModule
from adaptive_dropout.data.digits import Digits
from adaptive_dropout.data.image_folder import ImageFolder
from adaptive_dropout.data.text import Text
from adaptive_dropout.data.torchvision_sets import CIFAR10, MNIST

__all__ = ["CIFAR10", "MNIST", "Arrays", "Digits", "Examples", "ImageFolder", "TensorDataModule", "Text"]
