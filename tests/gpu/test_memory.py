"""What a layer keeps for its backward pass on a device: no byte an element, since backward draws the noise again."""

from __future__ import annotations

import pytest
import torch

import adaptive_dropout as ad

# The gate keeps its input for the gradient of p, which costs nothing where x lives on anyway.
LAYERS = [ad.Dropout, ad.AlphaDropout, ad.GaussianDropout, ad.ConcreteDropout]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layer_class", LAYERS)
def test_a_layer_keeps_nothing(layer_class: type[ad.NoiseLayer], dtype: torch.dtype, device: torch.device) -> None:
    layer = layer_class(ad.SettableRate(0.3)).to(device)
    x = torch.randn(1 << 24, dtype=dtype, device=device, requires_grad=True)
    layer(x)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    y = layer(x)
    kept = torch.cuda.memory_allocated() - before - y.nbytes
    assert kept / x.numel() < 0.01


def test_p_is_all_that_a_layer_adds_to_a_device(device: torch.device) -> None:
    before = torch.cuda.memory_allocated()
    layer = ad.Dropout(0.3).to(device)
    assert torch.cuda.memory_allocated() - before <= 512  # what torch's allocator rounds 4 bytes up to
    assert layer.p == 0.3
