"""Odds and scale of the concrete gate, for a p that Python may read, against the same in torch operations."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from adaptive_dropout.functional.concrete import concrete_dropout
from adaptive_dropout.noise.concrete import _OddsAndScale, odds_and_scale

# Of torch itself, the first time that it differentiates forwards.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*is deprecated")


@pytest.mark.parametrize("temperature", [0.1, 2 / 3, 1.5])
@pytest.mark.parametrize("p", [1e-6, 0.01, 0.3, 0.9, 0.9999])
def test_values_and_slopes_are_those_of_the_operations(p: float, temperature: float) -> None:
    leaf = torch.tensor(p, dtype=torch.float64, requires_grad=True)
    for ours, expected in zip(_OddsAndScale.apply(leaf, temperature), odds_and_scale(leaf, temperature), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=0)
        slopes = [torch.autograd.grad(value, leaf, retain_graph=True)[0] for value in (ours, expected)]
        torch.testing.assert_close(*slopes, rtol=1e-12, atol=0)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_ends_are_those_of_the_operations(p: float) -> None:
    assert _OddsAndScale.apply(torch.tensor(p), 0.1) == odds_and_scale(torch.tensor(p), 0.1)


def test_derivatives_by_p_of_any_order_and_forwards_are_right() -> None:
    p = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    x = torch.linspace(-1, 2, 20, dtype=torch.float64)

    def noisy(p: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(2)
        return concrete_dropout(x, p, 2 / 3)

    assert gradcheck(noisy, p, check_forward_ad=True)
    assert gradgradcheck(lambda p: noisy(p) ** 2, p)
