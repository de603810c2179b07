"""Consistent samples: one set of masks for all examples of a sample."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from tests.inference.models import cnn, encoder, loop, mlp, our_mlp, standard_errors_apart

SAMPLES = 800
MODELS = {"MLP": (mlp, (20,)), "MLP of ours": (our_mlp, (20,)), "CNN": (cnn, (1, 8, 8))}


@pytest.mark.parametrize("name", MODELS)
def test_equal_examples_get_equal_outputs_that_differ_between_samples(name: str) -> None:
    new, shape = MODELS[name]
    drawn = ad.consistent_mc_samples(new(), torch.randn(shape).expand(4, *shape), samples=6)
    torch.testing.assert_close(drawn, drawn[:, :1].expand_as(drawn))
    assert drawn[:, 0].std(0).min() > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_each_example_has_the_statistics_of_full_passes(name: str) -> None:
    new, shape = MODELS[name]
    model, x = new(), torch.randn(3, *shape)
    drawn, passes = ad.consistent_mc_samples(model, x, SAMPLES), loop(model, x, SAMPLES)
    centre = passes.mean(0)
    assert standard_errors_apart(drawn, passes) < 5
    assert standard_errors_apart((drawn - centre) ** 2, (passes - centre) ** 2) < 5


def test_masks_drawn_inside_torch_are_refused() -> None:
    with pytest.raises(ValueError, match="draws a mask of its own for each example"):
        ad.consistent_mc_samples(encoder(), torch.randn(4, 6, 16))


def test_examples_along_another_dimension_are_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Flatten(0), nn.Dropout(0.5))
    with pytest.raises(ValueError, match=r"consistent masks need \(batch, ...\) with batch 4 at each dropout"):
        ad.consistent_mc_samples(model, torch.randn(4, 3))
