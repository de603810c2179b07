"""No layer, divergence or penalty waits for the device, forward or backward."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout import functional as F
from adaptive_dropout.penalties import MeanLoss, concrete_penalty, l1, l2, max_norm_
from tests.fake_device import backward, fake_cuda, no_waits

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "ConcreteDropout.wrap": lambda: ad.ConcreteDropout.wrap(nn.Linear(4, 4)),
    "ContextualDropout": lambda: ad.ContextualDropout(4),
    "DropBlock2d": lambda: ad.DropBlock2d(0.2, block_size=3),
    "LockedDropout": lambda: ad.LockedDropout(0.2, batch_first=True),
    "DropHead": lambda: ad.DropHead(0.2),
    "DropKey": lambda: nn.Sequential(ad.DropKey(0.2, columns=True), nn.Softmax(-1)),
    "PatchDropout": lambda: ad.PatchDropout(0.2, patch=2),
    "SparseLinear": lambda: ad.SparseLinear(4, 4),
    "Standout": lambda: ad.Standout(nn.Linear(4, 4), nn.ReLU()),
    "TargetedDropout": lambda: ad.TargetedDropout.on(nn.Linear(4, 4), "weight", p=0.2),
    "TargetedUnitDropout": lambda: ad.TargetedUnitDropout.on(nn.Linear(4, 4), "weight", p=0.2),
    "VariationalDropout": lambda: ad.VariationalDropout(0.1, units=4),
    "VariationalDropout of a set rate": lambda: ad.VariationalDropout(ad.SettableRate(0.1)),
    "VariationalLinear": lambda: ad.VariationalLinear(4, 4),
    "WeightDrop": lambda: ad.WeightDrop.on(nn.Linear(4, 4), "weight", p=0.2),
    "WordDropout": lambda: ad.WordDropout(0.2),
}
LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "exact_kl": lambda x: F.exact_kl(x).sum(),
    "kingma_kl": lambda x: F.kingma_kl(x).sum(),
    "symmetric_kl": lambda x: F.symmetric_kl(x, x + 1, x[:, 0] > 0),
    "molchanov_kl": lambda x: F.molchanov_kl(x).sum(),
    "concrete_penalty": lambda x: concrete_penalty(x, 0.5, units=4, length_scale=1.0, loss=MeanLoss("nll", n=8)),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_layers_wait_for_no_device(make: Callable[[], nn.Module]) -> None:
    with fake_cuda():
        layer = make()
        x = torch.ones(2, 4, 4, 4, requires_grad=True)
        with no_waits():
            loss = layer(x).square().mean()
            if isinstance(layer, ad.Penalised):
                loss = loss + ad.penalty(layer, n=100)
            backward(loss)
    assert x.grad is not None
    assert x.grad.is_cuda


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_divergences_wait_for_no_device(loss: Callable[[Tensor], Tensor]) -> None:
    with fake_cuda():
        x = torch.zeros(2, 4, requires_grad=True)
        with no_waits():
            backward(loss(x))


def test_norms_wait_for_no_device() -> None:
    with fake_cuda():
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        with no_waits():
            backward(l1(model) + l2(model))
            max_norm_(model, 1.0)
