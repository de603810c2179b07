"""DropBlock, DropPath and ShakeDrop on a device: nothing waits, and what runs on fewer examples is the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.functional import drop_path
from tests.gpu.waiting import forbid_waiting


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_skipped_work_changes_neither_the_result_nor_a_gradient(
    p: float, dtype: torch.dtype, device: torch.device
) -> None:
    layer, branch = ad.DropPath(p).to(device), nn.Linear(16, 16).to(device, dtype)
    x = torch.randn(257, 16, device=device, dtype=dtype, requires_grad=True)
    found = []
    for call in (lambda: layer.residual(x, branch), lambda: x + drop_path(branch(x), layer.rate.value)):
        torch.manual_seed(3)
        y = call()
        found.append([y, *torch.autograd.grad(y.float().square().sum(), [x, *branch.parameters()])])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours.float(), expected.float(), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_nothing_waits_for_the_device(p: float, device: torch.device) -> None:
    path, branch = ad.DropPath(p).to(device), nn.Linear(9, 9).to(device)
    layers = [ad.DropBlock2d(p, block_size=3).to(device), ad.ShakeDrop(p).to(device)]
    x = torch.randn(32, 8, 9, 9, device=device, requires_grad=True)
    for layer in layers:  # the first call compiles kernels
        layer(x).sum().backward()
    path.residual(x, branch).sum().backward()
    with forbid_waiting():
        for layer in layers:
            layer(x).sum().backward()
        path.residual(x, branch).sum().backward()


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_a_map_loses_its_share(p: float, device: torch.device) -> None:
    torch.manual_seed(1)
    for sizes, block in (((7, 7), 7), ((14, 14), 7), ((5, 9), 4)):
        lost = ad.DropBlock2d(p, block).to(device)(torch.ones(512, 64, *sizes, device=device)) == 0
        share = lost.double().flatten(2).mean(2).flatten()
        assert abs(share.mean() - p).item() < 5 * (share.std() / len(share) ** 0.5).item()


def test_a_tensor_of_p_gives_the_blocks_of_a_number(device: torch.device) -> None:
    layer, x = ad.DropBlock2d(0.3, block_size=3).to(device), torch.randn(16, 8, 9, 9, device=device)
    torch.manual_seed(1)
    known = layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer.noise(x, layer.rate.value.clone()), known)  # whose number only the device knows
