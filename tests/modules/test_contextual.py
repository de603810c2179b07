from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad


def trained(layer: ad.ContextualDropout) -> ad.ContextualDropout:
    """The layer with a context that says something."""
    nn.init.normal_(layer.squeeze.weight)
    nn.init.normal_(layer.excite.weight)
    return layer


@pytest.mark.parametrize("layer", [ad.ContextualDropout(16, p=0.3), ad.ContextualDropout2d(16, p=0.3)])
def test_it_starts_with_the_same_p_for_every_input(layer: ad.ContextualDropout) -> None:
    x = torch.randn((5, 16, 3, 3) if isinstance(layer, ad.ContextualDropout2d) else (5, 16))
    assert torch.allclose(layer.probability(x), torch.tensor(0.3))
    assert layer.rate.p == pytest.approx(0.3)
    assert layer.squeeze.out_features == 2


def test_p_is_the_sigmoid_of_base_and_network() -> None:
    layer, x = trained(ad.ContextualDropout(16)), torch.randn(5, 7, 16)
    hidden = torch.relu(x @ layer.squeeze.weight.T)
    assert torch.allclose(layer.probability(x), torch.sigmoid(layer.base.logit + hidden @ layer.excite.weight.T))


def test_noise_has_mean_1_and_variance_p_over_1_minus_p_for_each_unit() -> None:
    layer, x, n = trained(ad.ContextualDropout(4, reduction=1)), torch.randn(1, 4), 40_000
    p = layer.probability(x)[0].detach()
    noise = (layer(x.expand(n, 4)) / x).detach()
    variance = p / (1 - p)
    assert ((noise.mean(0) - 1).abs() <= 5 * (variance / n).sqrt()).all()
    assert ((noise.var(0) - variance).abs() <= 5 * variance * (2 / n) ** 0.5).all()
    assert p.max() > 2 * p.min()


def test_a_channel_has_one_factor_and_the_context_is_its_mean() -> None:
    layer = trained(ad.ContextualDropout2d(6))
    x = torch.rand(3, 6, 4, 5) + 1
    noise = layer(x) / x
    assert torch.allclose(noise, noise[:, :, :1, :1].expand_as(noise), rtol=1e-4)
    assert noise[:, :, 0, 0].flatten().unique().numel() == 18
    flat = x.mean((2, 3), keepdim=True).expand_as(x)
    assert torch.allclose(layer.probability(x), layer.probability(flat), rtol=1e-4)


@pytest.mark.parametrize("layer", [ad.ContextualDropout(8), ad.ContextualDropout2d(8)])
def test_every_parameter_of_p_gets_a_gradient(layer: ad.ContextualDropout) -> None:
    trained(layer)
    x = torch.randn((32, 8, 2, 2) if isinstance(layer, ad.ContextualDropout2d) else (32, 8))
    layer(x).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_the_rate_is_the_mean_p_of_the_last_batch_and_the_base_a_learned_rate() -> None:
    model, x = nn.Sequential(trained(ad.ContextualDropout(8))), torch.randn(32, 8)
    model(x)
    wanted = {"0": model[0].probability(x).mean().item(), "0.base": 0.1}
    assert ad.get_rates(model) == {name: pytest.approx(p) for name, p in wanted.items()}
    assert list(ad.get_rates(model, ad.LearnedRate)) == ["0.base"]


def test_weight_decay_is_kept_from_the_base_alone() -> None:
    layer = ad.ContextualDropout(8)
    weights, rates = ad.rate_param_groups(nn.Sequential(layer), lr=0.1)
    assert [id(w) for w in rates["params"]] == [id(layer.base.logit)]
    assert rates["weight_decay"] == 0
    assert len(weights["params"]) == 2


def test_evaluation_returns_the_very_tensor_and_samples_have_the_noise_of_their_context() -> None:
    layer, x = trained(ad.ContextualDropout(4, reduction=1)).eval(), torch.randn(4, 4)
    assert layer(x) is x
    samples = ad.mc_samples(layer, x, samples=1000)
    p = layer.probability(x).detach()
    variance = x.square() * p / (1 - p)
    assert ((samples.var(0) - variance).abs() <= 5 * variance * (2 / 1000) ** 0.5).all()
    assert p.max() > 2 * p.min()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_p_stays_float32_or_better_in_a_cast_copy(dtype: torch.dtype) -> None:
    layer = copy.deepcopy(ad.ContextualDropout(8)).to(dtype)
    x = torch.randn(4, 8, dtype=dtype)
    assert layer(x).dtype == dtype
    assert layer.base.logit.dtype == torch.float32
    assert layer.probability(x).dtype == torch.promote_types(dtype, torch.float32)


@pytest.mark.slow
def test_autocast_and_compilation_train_it(short_noise: None) -> None:
    layer, x = trained(ad.ContextualDropout(8)), torch.randn(32, 8)
    torch._dynamo.reset()
    for run in (layer, torch.compile(layer, backend="aot_eager", fullgraph=True)):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            y: Tensor = run(x)
        y.square().sum().backward()
        assert layer.base.logit.grad is not None
        assert layer.base.logit.grad.all()
        assert layer.rate.p == pytest.approx(layer.probability(x).mean().item(), abs=1e-2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": 0}, "features"),
        ({"features": 8, "reduction": 0}, "reduction"),
        ({"features": 8, "p": 1.0}, "strictly between 0 and 1"),
    ],
)
def test_bad_settings_are_told(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ad.ContextualDropout(**settings)
