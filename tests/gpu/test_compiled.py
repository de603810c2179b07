"""torch.compile on a device: one graph whatever p is, the masks of eager code, and CUDA graphs inside."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

import adaptive_dropout as ad

SHAPES: dict[type[ad.NoiseLayer], tuple[int, ...]] = {
    ad.Dropout: (512, 512),
    ad.Dropout2d: (64, 128, 6, 6),
    ad.GaussianDropout: (512, 512),
    ad.ConcreteDropout: (512, 512),
    ad.AlphaDropout: (512, 512),
    ad.DropPath: (512, 64),
}


@pytest.mark.parametrize("layer_class", SHAPES)
def test_twenty_changes_of_p_are_one_graph_that_draws_as_eager_code(
    layer_class: type[ad.NoiseLayer], device: torch.device
) -> None:
    torch._dynamo.reset()
    layer, counter = layer_class(ad.SettableRate(0.1)).to(device), CompileCounterWithBackend("inductor")
    compiled = torch.compile(layer, backend=counter, fullgraph=True)
    x = torch.rand(SHAPES[layer_class], device=device) + 1
    for step in range(1, 21):
        layer.p = step / 25
        results = []
        for call in (layer, compiled):
            torch.manual_seed(step)
            leaf = x.clone().requires_grad_()
            y = call(leaf)
            (gradient,) = torch.autograd.grad(y.sum(), leaf)
            results.append((y.detach(), gradient))
        # Other masks would differ by 1 at least. Roots and powers of two compilers differ in last bits.
        for eager, traced in zip(*results, strict=True):
            torch.testing.assert_close(traced, eager, rtol=1e-4, atol=1e-4)
    assert counter.frame_count == 1


@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty")  # torch records one to reserve its memory
def test_with_cuda_graphs_each_call_draws_anew_and_follows_p(device: torch.device) -> None:
    torch._dynamo.reset()
    model = nn.Sequential(nn.Linear(256, 256), ad.Dropout(0.3), nn.Linear(256, 256), ad.Dropout(0.3)).to(device)
    compiled = torch.compile(model, mode="reduce-overhead")
    x, masks = torch.randn(64, 256, device=device), []
    for _ in range(6):
        torch.compiler.cudagraph_mark_step_begin()
        y = compiled(x)
        masks.append((y == 0).clone())
        y.sum().backward()
        model.zero_grad(set_to_none=True)
    assert not torch.equal(masks[-1], masks[-2])
    ad.set_rates(model, {"1": 0.9, "3": 0.9})
    torch.compiler.cudagraph_mark_step_begin()
    dropped = (compiled(x) == 0).double().mean().item()
    assert abs(dropped - 0.9) <= 5 * (0.09 / y.numel()) ** 0.5
