"""Activation checkpointing on a device recomputes the same noise, in both of torch's ways and compiled."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import adaptive_dropout as ad


def network(device: torch.device) -> nn.Sequential:
    noises = [ad.Dropout(0.3), ad.GaussianDropout(0.3), ad.ConcreteDropout(0.1), ad.AlphaDropout(0.1)]
    return nn.Sequential(nn.Linear(64, 64), noises[0], nn.Linear(64, 64), *noises[1:]).to(device)


def output_and_gradient(call: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    leaf = x.clone().requires_grad_()
    y = call(leaf)
    y.square().sum().backward()
    assert leaf.grad is not None
    return y.detach(), leaf.grad


@pytest.mark.parametrize("reentrant", [False, True])
def test_it_recomputes_the_same_noise(reentrant: bool, device: torch.device) -> None:
    model, x = network(device), torch.randn(128, 64, device=device)
    plain = output_and_gradient(model, x)
    recomputed = output_and_gradient(lambda x: checkpoint(model, x, use_reentrant=reentrant), x)
    assert torch.equal(plain[0], recomputed[0])
    torch.testing.assert_close(plain[1], recomputed[1])


def test_compiled_its_gradient_is_its_mask(device: torch.device) -> None:
    """pytorch#198333: torch's own masks differ between forward and recomputation here."""
    layer = ad.Dropout(0.3).to(device)
    x = torch.randn(256, 512, device=device)

    def dropped(x: Tensor) -> Tensor:
        return checkpoint(lambda x: layer(torch.sin(x)), x, use_reentrant=False)

    torch._dynamo.reset()
    y, gradient = output_and_gradient(torch.compile(dropped, fullgraph=True), x)
    assert (y == 0).any()
    assert torch.equal(gradient == 0, y == 0)
    torch.testing.assert_close(gradient, 2 * y * torch.where(y == 0, 0, torch.cos(x) / 0.7), rtol=1e-4, atol=1e-4)
