"""`MLP`: dense layers with ReLU and dropout, sizes checked at construction."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptive_dropout.modules import Dropout
from adaptive_dropout.networks import MLP


def test_mlp_is_dense_relu_dropout_and_a_dense_output():
    kinds = [type(part) for part in MLP(6, 2, hidden=(4,))]
    assert kinds == [nn.Flatten, nn.Linear, nn.ReLU, Dropout, nn.Linear]


def test_images_are_flattened():
    assert MLP(64, 10)(torch.rand(16, 1, 8, 8)).shape == (16, 10)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: MLP(0, 10), ValueError, "in_features has to be at least 1, but got 0"),
        (lambda: MLP(64, -1), ValueError, "out_features has to be at least 1, but got -1"),
        (lambda: MLP(64, 10, hidden=[8, 0]), ValueError, "hidden has to be at least 1, but got 0"),
        (lambda: MLP(64, 10, hidden=[8.5]), TypeError, "hidden has to be a whole number, but got 8.5"),
        (lambda: MLP(64, 10, hidden=[]), ValueError, "hidden has to hold at least one size, but got []"),
    ],
)
def test_bad_sizes_are_refused_at_construction(build, error, message):
    with pytest.raises(error) as caught:
        build()
    assert str(caught.value) == message
