"""`CNN`: convolutions, a dense layer, dropout after each, sizes checked at construction."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptive_dropout.modules import Dropout
from adaptive_dropout.networks import CNN


def test_cnn_is_two_convolutions_and_two_dense_layers_with_three_dropouts():
    block = [nn.Conv2d, nn.ReLU, nn.MaxPool2d, Dropout]
    kinds = [type(part) for part in CNN(1, 10)]
    assert kinds == [*block, *block, nn.Flatten, nn.Linear, nn.ReLU, Dropout, nn.Linear]


@pytest.mark.parametrize(("size", "colours"), [(4, 1), (7, 1), (8, 1), (28, 1), (32, 3), (65, 3)])
def test_cnn_takes_images_of_the_stated_size(size, colours):
    assert CNN(colours, 5, image_size=size)(torch.rand(2, colours, size, size)).shape == (2, 5)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: CNN(0, 10), ValueError, "in_channels has to be at least 1, but got 0"),
        (lambda: CNN(1, 10, channels=()), ValueError, "channels has to hold at least one size, but got ()"),
        (lambda: CNN(1, 10, hidden=True), TypeError, "hidden has to be a whole number, but got True"),
        (
            lambda: CNN(1, 10, image_size=3),
            ValueError,
            "image_size has to be at least 4, because 2 poolings halve it, but got 3",
        ),
    ],
)
def test_bad_sizes_are_refused_at_construction(build, error, message):
    with pytest.raises(error) as caught:
        build()
    assert str(caught.value) == message
