"""Models on a device: converted, inspected, and sampled."""

from __future__ import annotations

import torch
from torch import nn

import adaptive_dropout as ad


def test_a_converted_model_trains_at_rates_that_move(device: torch.device) -> None:
    block = nn.TransformerEncoderLayer(64, 4, 128, 0.1, batch_first=True)
    model = nn.TransformerEncoder(block, 2, enable_nested_tensor=False).to(device)
    ad.convert(model)
    rates = ad.get_rates(model)
    assert rates
    ad.set_rates(model, dict.fromkeys(rates, 0.3))
    x = torch.randn(4, 16, 64, device=device)
    first, second = model(x), model(x)
    assert not torch.equal(first, second)
    first.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    ad.set_rates(model, dict.fromkeys(rates, 0.0))
    assert torch.equal(model(x), model(x))


def test_samples_differ_with_dropout_on_and_leave_no_trace(device: torch.device) -> None:
    model = nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 8))
    model.to(device).eval()
    x = torch.randn(16, 32, device=device)
    expected = model(x)
    samples = ad.mc_samples(model, x, samples=64)
    assert samples.shape == (64, 16, 8)
    assert samples.device.type == device.type
    assert samples.std(0).mean() > 0
    assert torch.equal(model(x), expected)


def test_looking_for_dropout_out_of_reach_leaves_the_generator_alone(device: torch.device) -> None:
    model = nn.Sequential(nn.Linear(32, 32), nn.Dropout(0.3)).to(device)
    x = torch.randn(4, 32, device=device)
    before = torch.cuda.get_rng_state(device)
    ad.inventory(model, x)
    assert torch.equal(torch.cuda.get_rng_state(device), before)
