"""Half precision on a device: under autocast and in models of bfloat16, with p in float32."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import adaptive_dropout as ad

HALVES = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", HALVES)
def test_autocast_trains_and_keeps_its_dtype(dtype: torch.dtype, device: torch.device) -> None:
    noises = [ad.Dropout(0.3), ad.GaussianDropout(ad.LearnedRate(0.2)), ad.ConcreteDropout(0.1), ad.AlphaDropout(0.1)]
    model = nn.Sequential(nn.Linear(64, 64), *noises, nn.Linear(64, 64)).to(device)
    with torch.autocast(device.type, dtype):
        y = model(torch.randn(128, 64, device=device))
    assert y.dtype == dtype
    y.float().square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("dtype", HALVES)
def test_autocast_draws_the_mask_of_float32(dtype: torch.dtype, device: torch.device) -> None:
    model = nn.Sequential(nn.Linear(64, 64, bias=False), ad.Dropout(0.3)).to(device)
    nn.init.ones_(model[0].weight)
    x, masks = torch.ones(700, 64, device=device), []
    for enabled in (False, True):
        torch.manual_seed(2)
        with torch.autocast(device.type, dtype, enabled=enabled):
            masks.append(model(x) == 0)
    assert torch.equal(*masks)
    assert masks[0].any()


def test_a_small_p_in_a_model_of_bfloat16_is_exact(device: torch.device) -> None:
    p = 0.0015  # bfloat16 has 0.00150299
    layer = ad.Dropout(p).to(device).bfloat16()
    x = torch.ones(1 << 24, dtype=torch.bfloat16, device=device)
    assert layer.p == p
    y = layer(x)
    assert y.dtype == torch.bfloat16
    dropped = (y == 0).double().mean().item()
    assert abs(dropped - p) <= 5 * (p / x.numel()) ** 0.5 + 2**-17


@pytest.mark.parametrize("layer_class", [ad.Dropout, ad.Dropout2d])
def test_every_precision_draws_one_mask(layer_class: type[ad.NoiseLayer], device: torch.device) -> None:
    layer = layer_class(0.3).to(device)
    masks = []
    for dtype in (torch.float32, torch.float64, *HALVES):
        torch.manual_seed(4)
        masks.append(layer(torch.ones(64, 32, 6, 6, dtype=dtype, device=device)) == 0)
    assert all(torch.equal(masks[0], other) for other in masks[1:])
