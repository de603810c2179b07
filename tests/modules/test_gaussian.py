"""What a learned rate of Gaussian noise is taught by the data."""

from __future__ import annotations

import pytest
import torch

import adaptive_dropout as ad

SHAPES = [((), (64, 6)), ((6,), (64, 6)), ((6, 1, 1), (16, 6, 5, 4))]


@pytest.mark.parametrize(("shape", "x_shape"), SHAPES)
def test_the_mean_gradient_of_a_square_is_that_of_its_variance(
    shape: tuple[int, ...], x_shape: tuple[int, ...]
) -> None:
    rate = ad.LearnedRate(0.3, shape)
    with torch.no_grad():
        rate.logit += torch.linspace(-1, 1, rate.logit.numel()).reshape(shape)
    layer, x = ad.GaussianDropout(rate), torch.rand(x_shape) + 0.5
    rows = torch.stack([torch.autograd.grad(layer(x).square().sum(), rate.logit)[0] for _ in range(300)])
    wanted = x.square().sum_to_size(shape) * rate.logit.detach().exp()  # E x^2 (1 + alpha); d alpha / d logit = alpha
    assert ((rows.mean(0) - wanted).abs() <= 5 * rows.std(0) / 300**0.5).all()


def test_the_loss_of_the_data_alone_drives_p_to_0() -> None:
    layer = ad.GaussianDropout(ad.LearnedRate(0.3))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(120):
        optimizer.zero_grad()
        (layer(torch.ones(64)) - 1).square().mean().backward()
        optimizer.step()
    assert layer.p < 0.01
