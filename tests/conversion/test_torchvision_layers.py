"""The DropBlocks of torchvision become ours, which drop the share of a map that they were asked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import adaptive_dropout as ad

ops = pytest.importorskip("torchvision.ops")


@pytest.mark.parametrize(("theirs", "ours"), [("DropBlock2d", ad.DropBlock2d), ("DropBlock3d", ad.DropBlock3d)])
def test_the_size_of_blocks_and_the_rate_stay(theirs: str, ours: type[ad.NoiseLayer]) -> None:
    model = nn.Sequential(getattr(ops, theirs)(0.2, 3))
    before = model[0]
    (layer,) = ad.convert(model).values()
    assert type(layer) is ours
    assert repr(layer) == f"{ours.__name__}(p=0.2, block_size=3)"
    layer.p = 1.0
    assert not model(torch.ones(2, 3, *(6,) * int(theirs[-2]))).any()
    assert ad.revert(model)[0] is before


def test_even_blocks_which_theirs_refuse_lose_the_share_that_is_asked_for() -> None:
    model, x = nn.Sequential(ops.DropBlock2d(0.5, 4)), torch.ones(300, 10, 7, 7)
    # torchvision 0.23 has no check, and its mask has another shape than the map.
    with pytest.raises((ValueError, RuntimeError), match=r"even|must match the size"):
        model(x)
    ad.convert(model)
    lost = (model(x) == 0).double().flatten(2).mean(2)
    assert abs(lost.mean() - 0.5) < 5 * lost.std() / 3000**0.5


def test_blocks_that_overlap_lose_it_too_where_theirs_lose_less() -> None:
    model, x = nn.Sequential(ops.DropBlock2d(0.5, 5)), torch.ones(300, 10, 7, 7)
    theirs = (model(x) == 0).double().mean()
    ad.convert(model)
    lost = (model(x) == 0).double().flatten(2).mean(2)
    assert abs(lost.mean() - 0.5) < 5 * lost.std() / 3000**0.5
    assert theirs < 0.45
