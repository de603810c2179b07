"""What torch traces takes the references: one graph, whatever p is, with the bits that the kernels give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import adaptive_dropout as ad
from tests.noise.cases import KEY, PAIRS

LAYERS = [ad.Dropout, ad.AlphaDropout, ad.GaussianDropout, ad.ConcreteDropout, ad.Dropout2d, ad.ConcreteDropout2d]
every_layer = pytest.mark.parametrize("layer_class", LAYERS)


def new(layer_class: type[ad.NoiseLayer], p: float = 0.4) -> ad.NoiseLayer:
    torch._dynamo.reset()
    return layer_class(ad.SettableRate(p))


def input_for(layer: ad.NoiseLayer) -> Tensor:
    return torch.rand((40, 30, 3, 2) if "2d" in type(layer).__name__ else (70, 101))


@pytest.mark.parametrize(
    "layer_class", [pytest.param(kind, marks=[] if kind is ad.Dropout else pytest.mark.slow) for kind in LAYERS]
)
def test_a_compiled_layer_draws_and_differentiates_as_the_eager_one_in_one_graph_while_p_moves(
    layer_class: type[ad.NoiseLayer],
) -> None:
    from torch._dynamo.testing import CompileCounterWithBackend

    layer, counter = new(layer_class), CompileCounterWithBackend("aot_eager")
    x, compiled = input_for(layer), torch.compile(layer, backend=counter, fullgraph=True)
    for p in (0.0, 0.3, 0.9):
        layer.p = p
        results = []
        for call in (layer, compiled):
            torch.manual_seed(6)
            leaf = x.clone().requires_grad_()
            y = call(leaf)
            y.sum().backward()
            results.append((y, leaf.grad))
        for eager, traced in zip(*results, strict=True):
            torch.testing.assert_close(traced, eager)
        assert torch.equal(results[0][0] == 0, results[1][0] == 0)
    assert counter.frame_count == 1


# A compilation takes 9 s of a core. The others are a mask with one more operation, and the gate without its root.
THREE = {"mask", "gaussian", "gate at 2/3"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in THREE else pytest.mark.slow) for n in PAIRS])
def test_the_compiler_s_own_code_gives_the_bits_of_the_kernels(name: str) -> None:
    torch._dynamo.reset()
    noise = PAIRS[name][0]
    x, p = torch.randn(70, 101), torch.tensor(0.3)
    compiled = torch.compile(noise, fullgraph=True)(x, p, KEY)
    eager = noise(x, p, KEY)
    assert torch.equal(compiled == 0, eager == 0)
    torch.testing.assert_close(compiled, eager)


@every_layer
def test_exported_in_eval_mode_nothing_is_left(layer_class: type[ad.NoiseLayer]) -> None:
    layer = new(layer_class).eval()
    program = torch.export.export(layer, (input_for(layer),))
    assert [node for node in program.graph.nodes if node.op == "call_function"] == []


@every_layer
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_recomputes_the_same_noise(layer_class: type[ad.NoiseLayer], reentrant: bool) -> None:
    layer = new(layer_class)
    x = input_for(layer)
    gradients = []
    for call in (layer, lambda x: torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=reentrant)):
        torch.manual_seed(8)
        leaf = x.clone().requires_grad_()
        (call(leaf) ** 2).sum().backward()
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layer_class", [ad.Dropout, ad.Dropout2d])
@pytest.mark.parametrize("rows", [2, 700])
def test_amp_draws_the_mask_of_float32(layer_class: type[ad.NoiseLayer], dtype: torch.dtype, rows: int) -> None:
    layer, masks = new(layer_class), []
    x = torch.ones(rows, 30, 2, 2)
    for enabled in (False, True):
        torch.manual_seed(2)
        with torch.autocast("cpu", dtype, enabled=enabled):
            masks.append(layer(torch.nn.functional.conv2d(x, torch.ones(30, 1, 1, 1), groups=30)) == 0)
    assert torch.equal(*masks)
    assert masks[0].any()


@pytest.mark.parametrize("layer_class", LAYERS)
def test_a_vmap_draws_one_noise_or_one_for_each_as_it_is_told(layer_class: type[ad.NoiseLayer]) -> None:
    layer = new(layer_class)
    x = input_for(layer)[:1].expand(3, *input_for(layer).shape[1:])
    x = x.unsqueeze(1)

    def drawn(**randomness: Any) -> Tensor:
        return torch.vmap(layer, **randomness)(x)

    same, different = drawn(randomness="same"), drawn(randomness="different")
    assert torch.equal(same[0], same[1])
    assert not torch.equal(different[0], different[1])
    with pytest.raises(RuntimeError, match="random operation"):
        drawn()
