from __future__ import annotations

import pytest
import torch

import adaptive_dropout as ad
from adaptive_dropout.signals.layers import approximated, gaussian_noise, steered_layers

N = 200_000


@pytest.mark.parametrize(
    "layer_class", [ad.Dropout, ad.AlphaDropout, ad.BernoulliDropout, ad.GaussianDropout, ad.WeightDrop]
)
def test_gaussian_noise_has_the_mean_and_variance_of_the_layers_own(layer_class: type[ad.NoiseLayer]) -> None:
    layer, x = layer_class(0.3), torch.full((N,), 1.5, dtype=torch.float64)
    own, soft = layer.noise(x, torch.tensor(0.3)), gaussian_noise(layer, x, torch.tensor(0.3))
    assert not torch.equal(own, soft)
    for y in (own - own.mean(), soft - soft.mean()):
        assert y.pow(2).mean() > 0
    errors = (own.var() / N + soft.var() / N).sqrt()
    assert abs(own.mean() - soft.mean()) < 5 * errors
    spread = sum((y - y.mean()).square().var() / N for y in (own, soft)).sqrt()
    assert abs(own.var() - soft.var()) < 5 * spread


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (ad.Dropout1d(0.3), (3, 4, 5)),
        (ad.Dropout2d(0.3), (3, 4, 5, 6)),
        (ad.Dropout3d(0.3), (3, 4, 5, 6, 2)),
        (ad.FeatureAlphaDropout(0.3), (3, 4, 5)),
        (ad.DropPath(0.3), (12, 1, 5)),
    ],
)
def test_channels_share_their_noise(layer: ad.NoiseLayer, shape: tuple[int, ...]) -> None:
    y = gaussian_noise(layer, torch.ones(shape), torch.tensor(0.3)).flatten(2)
    assert torch.equal(y, y[..., :1].expand_as(y))
    assert len(y[..., 0].unique()) == 12


@pytest.mark.parametrize("batch_first", [False, True])
def test_times_share_the_noise_of_their_sequence(batch_first: bool) -> None:
    layer, p = ad.LockedDropout(0.3, batch_first=batch_first), torch.tensor(0.3)
    y = gaussian_noise(layer, torch.ones(5, 6, 4), p).transpose(0, int(batch_first))
    assert torch.equal(y, y[:1].expand_as(y))
    assert len(y[0].unique()) == 4 * (5 if batch_first else 6)


def test_words_share_their_noise_and_it_passes_a_gradient_to_p() -> None:
    model = torch.nn.Sequential(ad.EmbeddingDropout(50_000, 2, p=0.3))
    p, tokens = torch.tensor(0.3, requires_grad=True), torch.arange(50_000).repeat(2, 1)
    torch.nn.init.ones_(model[0].weight)
    with approximated(steered_layers(model), {"0": p}):
        y = model(tokens)
    assert torch.equal(y[0], y[1])
    assert torch.equal(y[..., 0], y[..., 1])
    drawn = y[0, :, 0].detach().double()
    assert abs(drawn.mean() - 1) < 5 * drawn.std() / 50_000**0.5
    assert abs(drawn.var() - 0.3 / 0.7) < 5 * (drawn - 1).square().std() / 50_000**0.5
    (gradient,) = torch.autograd.grad(y.square().sum(), p)
    assert gradient != 0
    assert model(tokens).unique().numel() == 2, "its own noise is back"


@pytest.mark.parametrize("layer", [ad.Dropout(0.3), ad.AlphaDropout(0.3), ad.Dropout2d(0.3)])
def test_it_passes_a_gradient_to_p(layer: ad.NoiseLayer) -> None:
    p = torch.tensor(0.3, requires_grad=True)
    gaussian_noise(layer, torch.ones(4, 3, 2, 2), p).square().sum().backward()
    assert p.grad is not None
    assert p.grad != 0
