"""The divergence of two predictions, beside torch's own and at its edges."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from adaptive_dropout.functional import symmetric_bernoulli_kl, symmetric_kl


def test_it_is_the_mean_of_torchs_two_divergences() -> None:
    a, b = torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    both = [F.kl_div(x.log_softmax(-1), y.log_softmax(-1), reduction="batchmean", log_target=True)
            for x, y in ((a, b), (b, a))]  # fmt: skip
    torch.testing.assert_close(symmetric_kl(a, b), sum(both) / 2)
    torch.testing.assert_close(symmetric_kl(a.T, b.T, dim=0), sum(both) / 2)
    assert torch.autograd.gradcheck(symmetric_kl, (a.requires_grad_(), b.requires_grad_()))


def test_known_defect_the_scale_depends_on_the_number_of_tokens() -> None:
    a, b = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    torch.testing.assert_close(symmetric_kl(a.repeat(7, 1, 1), b.repeat(7, 1, 1)), symmetric_kl(a, b))


def test_padding_counts_nothing_whatever_it_holds() -> None:
    a, b = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    expected = symmetric_kl(a[mask], b[mask])
    a[~mask] = math.nan
    a.requires_grad_()
    found = symmetric_kl(a, b, mask)
    torch.testing.assert_close(found, expected)
    assert symmetric_kl(b, b + 1, torch.zeros(2, 3, dtype=torch.bool)) == 0


def test_equal_predictions_are_0_apart_with_no_gradient_and_hidden_classes_count_nothing() -> None:
    a = torch.randn(4, 5).requires_grad_()
    found = symmetric_kl(a, a.detach())
    assert found == 0
    assert not torch.autograd.grad(found, a)[0].any()
    b = torch.randn(4, 5)
    hidden = torch.full((4, 1), -math.inf)
    torch.testing.assert_close(symmetric_kl(torch.cat([a, hidden], 1), torch.cat([b, hidden], 1)), symmetric_kl(a, b))
    assert (
        torch.autograd.grad(symmetric_kl(torch.cat([a, hidden], 1), torch.cat([b, hidden], 1)), a)[0].isfinite().all()
    )


def test_half_precision_is_computed_in_float32() -> None:
    a, b = torch.randn(4, 5).bfloat16(), torch.randn(4, 5).bfloat16()
    assert symmetric_kl(a, b).dtype is torch.float32
    torch.testing.assert_close(symmetric_kl(a, b), symmetric_kl(a.float(), b.float()))


def test_a_yes_or_no_is_two_classes() -> None:
    a, b = torch.randn(4, 5), torch.randn(4, 5)
    two = [torch.stack([x, torch.zeros_like(x)], -1) for x in (a, b)]
    torch.testing.assert_close(symmetric_bernoulli_kl(a, b), symmetric_kl(*two))
    mask = torch.rand(4, 5) < 0.5
    torch.testing.assert_close(symmetric_bernoulli_kl(a, b, mask), symmetric_kl(*two, mask))


def test_wrong_shapes_are_told() -> None:
    a = torch.randn(4, 5)
    with pytest.raises(ValueError, match=r"differ in shape: \(4, 5\), \(4, 4\)"):
        symmetric_kl(a, a[:, :4])
    with pytest.raises(ValueError, match=r"two classes or more in dimension -1, but got shape \(4, 1\).*bernoulli"):
        symmetric_kl(a[:, :1], a[:, :1])
    with pytest.raises(ValueError, match=r"mask has to be of shape \(4,\), but got \(4, 5\)"):
        symmetric_kl(a, a, a > 0)
