"""Variational Gaussian dropout: its noise, its divergence, and what public code gets wrong about both."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

import adaptive_dropout as ad
from adaptive_dropout.functional import exact_kl, kingma_kl, noisy_product
from adaptive_dropout.noise.keys import draw_key
from adaptive_dropout.noise.normal import normals
from adaptive_dropout.noise.settings import as_key

linear = torch.nn.functional.linear
N = 200_000


def within_5_standard_errors(samples: Tensor) -> bool:
    samples = samples.double()
    return abs(samples.mean().item()) < 5 * samples.std().item() / samples.numel() ** 0.5


def ones_through(kind: str, p: float) -> Tensor:
    """What N noises of alpha = p / (1 - p) make of ones."""
    if kind == "units":
        return ad.VariationalDropout(p, units=1)(torch.ones(N, 1))
    layer = ad.VariationalLinear(1, 1, bias=False, p=p)
    nn.init.ones_(layer.weight)
    return layer(torch.ones(N, 1))


both = pytest.mark.parametrize("kind", ["units", "weights"])


@both
def test_known_defect_zero_mean_noise(kind: str) -> None:
    assert within_5_standard_errors(ones_through(kind, 0.3).detach() - 1)


@both
def test_known_defect_standard_deviation_for_variance(kind: str) -> None:
    alpha = 0.2 / 0.8
    assert within_5_standard_errors((ones_through(kind, 0.2).detach() - 1) ** 2 - alpha)


def slow_product(x: Tensor, weight: Tensor, variance: Tensor, bias: Tensor | None) -> Tensor:
    mean, std = x @ weight.T + (0 if bias is None else bias), (x**2 @ variance.T).sqrt()
    return mean + std * normals(as_key(x, draw_key(x)), mean.numel()).reshape(mean.shape)


@pytest.mark.parametrize("with_bias", [True, False])
def test_gradients_of_the_noisy_product_are_right_and_those_of_its_slow_twin(with_bias: bool) -> None:
    sizes = [(3, 4), (2, 4), (2, 4), *([(2,)] if with_bias else [])]
    inputs = [torch.rand(size, dtype=torch.float64, requires_grad=True) for size in sizes]

    def seeded(product: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(x: Tensor, weight: Tensor, variance: Tensor, bias: Tensor | None = None) -> Tensor:
            torch.manual_seed(3)
            return product(x, weight, variance, bias)

        return call

    ours = seeded(lambda *given: noisy_product(linear, *given))
    assert gradcheck(ours, inputs)
    results = [function(*inputs) for function in (ours, seeded(slow_product))]
    torch.testing.assert_close(*results)
    gradients = [torch.autograd.grad(y.square().sum(), inputs) for y in results]
    torch.testing.assert_close(*gradients)


def test_an_output_has_the_law_of_weights_drawn_one_by_one() -> None:
    x, weight = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.3, 0.1, -0.7])
    variance = torch.tensor([0.2, 0.05, 0.4])
    drawn = (weight + variance.sqrt() * torch.randn(N, 3)) @ x
    ours = noisy_product(linear, x.expand(N, 3), weight[None], variance[None])[:, 0]
    mean, spread = (x * weight).sum(), (x**2 * variance).sum()
    for y in (drawn, ours):
        assert within_5_standard_errors(y - mean)
        assert within_5_standard_errors((y - mean) ** 2 - spread)


def test_an_input_of_zeros_has_no_noise_and_finite_gradients() -> None:
    layer = ad.VariationalLinear(4, 3)
    x = torch.zeros(2, 4, requires_grad=True)
    y = layer(x)
    torch.testing.assert_close(y, layer.bias.expand(2, 3))
    y.sum().backward()
    assert all(leaf.grad.isfinite().all() for leaf in (x, layer.weight, layer.rate.logit))


def test_the_divergence_counts_a_shared_alpha_once_for_each_unit() -> None:
    each = exact_kl(torch.logit(torch.tensor(0.2))).item()
    assert ad.VariationalDropout(0.2, units=300).kl().item() == pytest.approx(300 * each)
    own = ad.VariationalDropout(ad.LearnedRate(0.2, (300,)))
    assert own.kl().item() == pytest.approx(300 * each)
    own.kl().backward()
    assert (own.rate.logit.grad < 0).all(), "it should ask each unit for more noise"


@pytest.mark.parametrize("shape", [(), (4,), (3, 1), (3, 4)])
def test_the_divergence_of_weights_counts_each_weight_whoever_shares_its_alpha(shape: tuple[int, ...]) -> None:
    layer = ad.VariationalLinear(4, 3, p=ad.LearnedRate(0.2, shape))
    assert layer.kl().item() == pytest.approx(12 * exact_kl(torch.logit(torch.tensor(0.2))).item())
    (layer.kl() + layer(torch.ones(2, 4)).square().sum()).backward()
    assert layer.rate.logit.grad.shape == shape
    assert layer.rate.logit.grad.all()


def test_the_divergence_of_a_rate_that_is_set_is_0() -> None:
    assert ad.VariationalDropout(ad.SettableRate(0.0)).kl().item() == 0


def test_the_number_of_units_is_asked_for_where_it_is_needed() -> None:
    with pytest.raises(ValueError, match=r"rate has shape \(\); give it, as in VariationalDropout\(0\.1, units=300\)"):
        ad.penalty(nn.Sequential(ad.VariationalDropout(0.1)), n=10)
    with pytest.raises(ValueError, match=r"shape \(3, 1, 1\)"):
        ad.VariationalDropout(ad.LearnedRate(0.1, (3, 1, 1))).kl()
    with pytest.raises(ValueError, match="units has to be at least 1, but got 0"):
        ad.VariationalDropout(0.1, units=0)


@pytest.mark.parametrize("layer", [ad.VariationalDropout(0.6, units=4), ad.VariationalLinear(4, 3, p=0.6)])
def test_kingmas_divergence_refuses_a_p_above_one_half(layer: ad.Penalised) -> None:
    layer.divergence = kingma_kl
    with pytest.raises(ValueError, match=r"alpha = 1\.5; use exact_kl"):
        layer.kl()


def test_a_rate_that_does_not_broadcast_to_the_weight_is_refused() -> None:
    with pytest.raises(ValueError, match=r"of shape \(3, 4\), but has shape \(3,\)"):
        ad.VariationalLinear(4, 3, p=ad.LearnedRate(0.1, (3,)))


def test_eval_mode_is_torchs_linear_with_the_mean_weights() -> None:
    layer = ad.VariationalLinear(4, 3).eval()
    x = torch.randn(5, 4)
    assert torch.equal(layer(x), linear(x, layer.weight, layer.bias))
    assert layer.p == pytest.approx(0.1)
    assert repr(layer) == "VariationalLinear(in_features=4, out_features=3, bias=True, p=0.1)"


def test_alpha_grows_where_nothing_speaks_against_noise() -> None:
    layer = ad.VariationalLinear(4, 1, p=0.1)
    x, y = torch.randn(64, 4), torch.randn(64, 1)  # nothing to learn: after all, y does not follow from x
    optimizer = torch.optim.Adam(ad.rate_param_groups(layer, lr=0.01))
    for _ in range(200):
        loss = (layer(x) - y).square().mean() / 2 + ad.penalty(layer, n=64)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert layer.p > 0.3


def test_copies_share_nothing() -> None:
    layer = ad.VariationalLinear(4, 3)
    clone = copy.deepcopy(layer)
    nn.init.zeros_(clone.rate.logit)
    assert (clone.p, layer.p) == (0.5, pytest.approx(0.1))
