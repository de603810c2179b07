"""A snapshot on a device: weights and moments come back bit by bit, whatever kernels the optimizer uses."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

import adaptive_dropout as ad


@pytest.mark.parametrize("kind", ["fused", "capturable", "foreach"])
def test_weights_and_moments_come_back_and_training_goes_on(kind: str, device: torch.device) -> None:
    settings: dict[str, Any] = {kind: True}
    model = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), ad.Dropout(0.3), nn.Linear(64, 8)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, **settings)
    snapshot = ad.Snapshot(model, optimizer)

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(32, 64, device=device)).square().mean().backward()
            optimizer.step()

    def everything() -> Any:
        return copy.deepcopy((model.state_dict(), optimizer.state_dict()["state"]))

    train(2)
    snapshot.take()
    kept = everything()
    train(3)
    snapshot.restore()
    assert_same(everything(), kept)
    torch.manual_seed(1)
    train(2)
    once = everything()
    snapshot.restore()
    torch.manual_seed(1)
    train(2)
    assert_same(everything(), once)


def assert_same(ours: Any, expected: Any) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=0, check_device=True)
