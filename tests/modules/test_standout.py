from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad


def keep(block: ad.Standout, x: Tensor) -> Tensor:
    return torch.sigmoid(block.alpha * block.layer(x) + block.beta).detach()


def test_units_are_kept_with_the_sigmoid_of_their_input_and_not_rescaled() -> None:
    block = ad.Standout(nn.Linear(3, 5), nn.Sigmoid(), alpha=2.0, beta=-0.5)
    x = torch.randn(1, 3)
    n = 20_000
    y = block(x.expand(n, 3))
    a = block.layer(x)
    assert torch.equal(y, torch.where(y > 0, torch.sigmoid(a), 0.0))
    wanted = keep(block, x)[0]
    found = (y > 0).float().mean(0)
    assert ((found - wanted).abs() <= 5 * (wanted * (1 - wanted) / n).sqrt()).all()


def test_evaluation_is_the_mean_of_training() -> None:
    block = ad.Standout(nn.Linear(3, 5), nn.Tanh(), alpha=1.5)
    x, n = torch.randn(1, 3), 20_000
    y = block(x.expand(n, 3))
    mean = block.eval()(x)
    assert torch.allclose(mean, keep(block, x) * torch.tanh(block.layer(x)))
    assert ((y.mean(0) - mean[0]).abs() <= 5 * y.std(0) / n**0.5).all()


def test_alpha_and_beta_0_are_dropout_of_one_half() -> None:
    block = ad.Standout(nn.Identity(), nn.Identity(), alpha=0.0).eval()
    assert torch.equal(block(torch.full((4,), 3.0)), torch.full((4,), 1.5))


def test_the_gradient_is_that_of_a_fixed_mask() -> None:
    block = ad.Standout(nn.Linear(3, 5), nn.Tanh())
    x = torch.randn(8, 3)
    y = block(x)
    (found,) = torch.autograd.grad(y.sum(), block.layer.weight)
    masked = torch.tanh(block.layer(x)) * (y != 0)
    assert torch.allclose(found, torch.autograd.grad(masked.sum(), block.layer.weight)[0])


def test_the_rate_is_the_mean_p_of_the_last_batch_in_training() -> None:
    block = ad.Standout(nn.Linear(3, 5), nn.ReLU(), beta=1.0)
    assert block.rate.p == pytest.approx(1 - torch.sigmoid(torch.tensor(1.0)).item())
    for _ in range(2):
        x = torch.randn(8, 3)
        block(x)
        assert ad.get_rates(nn.Sequential(block)) == {"0": pytest.approx(1 - keep(block, x).mean().item())}
    before = block.rate.p
    block.eval()(torch.randn(8, 3))
    block.train()(torch.randn(0, 3))
    assert block.rate.p == before


def test_a_model_with_it_has_the_checkpoint_of_the_layer_and_nothing_to_set() -> None:
    block = ad.Standout(nn.Linear(3, 5), nn.ReLU())
    assert list(block.state_dict()) == ["layer.weight", "layer.bias"]
    with pytest.raises(AttributeError, match="written by its layer, from the input"):
        block.rate.p = 0.3
    with pytest.raises(TypeError, match="written by its layer"):
        ad.set_rates(nn.Sequential(block), {"0": 0.3})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_it_follows_a_cast_and_a_copy_of_the_model(dtype: torch.dtype) -> None:
    block = copy.deepcopy(ad.Standout(nn.Conv2d(2, 3, 3), nn.ReLU())).to(dtype)
    y = block(torch.ones(4, 2, 8, 8, dtype=dtype))
    assert (y.dtype, y.shape) == (dtype, (4, 3, 6, 6))
    assert block.rate.value.dtype == torch.float32
    assert block.eval()(torch.ones(4, 2, 8, 8, dtype=dtype)).dtype == dtype


@pytest.mark.slow
def test_it_compiles_to_one_graph_that_reports(short_noise: None) -> None:
    block, x = ad.Standout(nn.Linear(3, 5), nn.ReLU()), torch.randn(8, 3)
    torch._dynamo.reset()
    compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
    compiled(x).sum().backward()
    assert block.rate.p == pytest.approx(1 - keep(block, x).mean().item())


def test_monte_carlo_samples_have_its_masks() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), ad.Standout(nn.Linear(3, 5), nn.Sigmoid())).eval()
    x = torch.randn(4, 3)
    samples = ad.mc_samples(model, x, samples=400)
    wanted = keep(model[1], model[0](x))
    found = (samples > 0).float().mean(0)
    assert ((found - wanted).abs() <= 5 * (wanted * (1 - wanted) / 400).sqrt()).all()
    assert not model[1].training


def test_a_strong_input_stands_out() -> None:
    block = ad.Standout(nn.Identity(), nn.Identity(), alpha=10.0)
    x = torch.tensor([5.0, -5.0]).expand(100, 2)
    assert torch.equal(block(x), torch.tensor([5.0, 0.0]).expand(100, 2))
