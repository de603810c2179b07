"""Recorded CUDA graphs: each replay draws anew, and a rate that moves after the recording is followed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad

LAYERS = [ad.Dropout, ad.GaussianDropout, ad.ConcreteDropout, ad.AlphaDropout]


def record(call: Callable[[], Tensor]) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """Return the graph of ``call``, and the tensor that each replay writes."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = call()
    return graph, y


@pytest.mark.parametrize("layer_class", LAYERS)
def test_each_replay_draws_anew(layer_class: type[ad.NoiseLayer], device: torch.device) -> None:
    layer = layer_class(ad.SettableRate(0.3)).to(device)
    x = torch.ones(1 << 16, device=device)
    graph, y = record(lambda: layer(x))
    drawn = []
    for _ in range(3):
        graph.replay()
        drawn.append(y.clone())
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])


@pytest.mark.parametrize("start", [0.0, 0.3])
def test_a_replay_follows_p(start: float, device: torch.device) -> None:
    layer = ad.Dropout(start).to(device)
    x = torch.ones(1 << 20, device=device)
    ad.Dropout(0.3).to(device)(x)  # at 0 no kernel would be compiled before the recording
    graph, y = record(lambda: layer(x))
    for p in (0.8, 0.0, 0.1):
        layer.p = p
        graph.replay()
        assert abs((y == 0).double().mean().item() - p) <= 5 * (p * (1 - p) / x.numel()) ** 0.5 + 2**-17


def test_a_seed_fixes_the_masks_of_the_replays_as_it_does_torchs(device: torch.device) -> None:
    """Before each replay torch writes the generator's seed and offset to the memory that a captured draw reads."""
    x = torch.ones(1 << 16, device=device)

    def repeats(layer: nn.Module) -> bool:
        graph, y = record(lambda: layer(x))
        drawn = []
        for _ in range(2):
            torch.manual_seed(5)
            graph.replay()
            drawn.append(y.clone())
        return torch.equal(*drawn)

    assert {"torch's": repeats(nn.Dropout(0.3)), "ours": repeats(ad.Dropout(0.3).to(device))} == {
        "torch's": True,
        "ours": True,
    }


# Of torch's own layers too: the weights are used outside of the stream on which the graph is captured.
@pytest.mark.filterwarnings("ignore:The AccumulateGrad node's stream does not match")
def test_graphed_callables_draw_anew_forward_and_use_that_mask_backward(device: torch.device) -> None:
    model = nn.Sequential(ad.Dropout(0.3), nn.Linear(64, 64), ad.GaussianDropout(0.3)).to(device)
    x = torch.randn(32, 64, device=device, requires_grad=True)
    graphed = torch.cuda.make_graphed_callables(model, (x,))
    first, second = graphed(x).detach().clone(), graphed(x).detach().clone()
    assert not torch.equal(first, second)
    masked = torch.cuda.make_graphed_callables(ad.Dropout(0.3).to(device), (x,))
    y = masked(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient == 0, y.detach() == 0)
