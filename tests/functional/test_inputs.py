from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

import adaptive_dropout as ad
from adaptive_dropout import functional as F

FUNCTIONS = [F.dropout, F.alpha_dropout, F.gaussian_dropout, F.concrete_dropout]
every_noise = pytest.mark.parametrize("noise", FUNCTIONS)


@every_noise
@pytest.mark.parametrize("wrong", [float("nan"), -0.25, 1.5])
def test_a_wrong_p_in_a_tensor_is_named(noise: Callable[..., Tensor], wrong: float) -> None:
    x = torch.ones(3, 4)
    for p in (torch.tensor(wrong), torch.tensor([[0.5], [wrong], [0.5]])):
        with pytest.raises(ValueError, match=rf"p has to be between 0 and 1, but got .*{wrong}"):
            noise(x, p)


@every_noise
@pytest.mark.parametrize("shape", [(2,), (4, 1), (1, 3, 4), (3, 1, 1)])
def test_a_p_that_does_not_broadcast_to_x_raises(noise: Callable[..., Tensor], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"broadcast to x, of shape \(3, 4\) on cpu, but got shape"):
        noise(torch.ones(3, 4), torch.full(shape, 0.5))


@every_noise
def test_a_p_on_another_device_raises(noise: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=r"on cpu, but got shape \(3, 1\) on meta"):
        noise(torch.ones(3, 4), torch.full((3, 1), 0.5, device="meta"))


@pytest.mark.parametrize("noise", [F.dropout, F.alpha_dropout, F.gaussian_dropout])
def test_each_example_gets_the_noise_of_its_p(noise: Callable[..., Tensor]) -> None:
    y = noise(torch.ones(3, 5000), torch.tensor([[0.0], [0.5], [1.0]]))
    assert torch.equal(y[0], torch.ones(5000))
    assert y[1].std() > 0.5
    assert not y[2].any()


def test_a_number_and_a_tensor_of_the_same_p_draw_the_same_mask() -> None:
    for size in (10, 5000):
        results = []
        for p in (0.3, torch.tensor(0.3), torch.full((size,), 0.3)):
            torch.manual_seed(1)
            results.append(F.dropout(torch.ones(size), p))
        assert torch.equal(results[0], results[1])
        assert torch.equal(results[0], results[2])


@pytest.mark.slow
@pytest.mark.parametrize(
    "layer_class", [ad.Dropout, ad.Dropout2d, ad.AlphaDropout, ad.GaussianDropout, ad.ConcreteDropout]
)
def test_on_a_device_one_graph_serves_every_p_that_a_rate_leaves_on_its_tensor(
    layer_class: type[ad.NoiseLayer],
) -> None:
    """The device has no memory: what the compiler asks is the same."""
    torch._dynamo.reset()
    layer, counter = layer_class(ad.SettableRate(0.3)).to("meta"), CompileCounterWithBackend("eager")
    compiled, x = torch.compile(layer, backend=counter, fullgraph=True), torch.empty(4, 3, 2, 2, device="meta")
    for p in (0.3, 0.0, 0.7, 0.0, 0.1):
        layer.p = p
        compiled(x)
    assert counter.frame_count == 1
