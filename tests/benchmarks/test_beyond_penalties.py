"""The closed forms against the noise that they stand for, in units of the Monte Carlo standard error."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from adaptive_dropout.functional import dropout
from benchmarks.beyond.linear import feature_penalty, product_penalty

N = 20_000


def monte_carlo(x: Tensor, y: Tensor, weight: Tensor, p: float) -> tuple[float, float]:
    """Mean and standard error of what dropping features adds to the mean cross-entropy."""
    losses = torch.stack([F.cross_entropy(dropout(x, p) @ weight.T, y) for _ in range(N // 10)])
    plain = F.cross_entropy(x @ weight.T, y)
    return (losses.mean() - plain).item(), (losses.std() / len(losses) ** 0.5).item()


def test_two_classes_give_the_adaptive_l2_penalty_as_published() -> None:
    x, beta = torch.randn(50, 4), torch.randn(4)
    weight = torch.stack((torch.zeros(4), beta))
    probability = torch.sigmoid(x @ beta)
    published = 0.5 * 0.3 / 0.7 * (probability * (1 - probability)) * (x.square() @ beta.square())
    assert torch.allclose(feature_penalty(x, weight, x @ weight.T, torch.tensor(0.3)), published, atol=1e-6)


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
def test_the_feature_penalty_is_what_dropout_adds_to_the_loss_of_small_weights(p: float) -> None:
    # 30 features, standard deviation of the logits about 0.5: the terms of fourth order are some percent.
    x, y, weight = torch.randn(100, 30).double(), torch.randint(3, (100,)), 0.1 * torch.randn(3, 30).double()
    added, error = monte_carlo(x, y, weight, p)
    penalty = feature_penalty(x, weight, x @ weight.T, torch.tensor(p)).mean().item()
    assert abs(added - penalty) < 5 * error + 0.05 * penalty
    assert penalty > 20 * error, "the noise hides what is tested"


def test_the_feature_penalty_does_not_depend_on_what_all_classes_share() -> None:
    x, weight, p = torch.randn(20, 5), torch.randn(3, 5), torch.tensor(0.5)
    shared = weight + torch.randn(5)
    first, second = (feature_penalty(x, w, x @ w.T, p) for w in (weight, shared))
    assert torch.allclose(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_product_penalty_is_exactly_what_dropout_adds(p: float) -> None:
    left, right, value = torch.randn(8, 3), torch.randn(8, 3), torch.randn(8)
    products = (left * right).expand(N, -1, -1)
    errors = (dropout(products, p).sum(-1) - value).square()
    plain = ((left * right).sum(-1) - value).square()
    expected = plain + product_penalty(left, right, torch.tensor(p))
    assert ((errors.mean(0) - expected).abs() < 5 * errors.std(0) / N**0.5).all()


def test_over_a_whole_matrix_it_is_the_product_of_the_squared_norms() -> None:
    left, right = torch.randn(7, 3), torch.randn(5, 3)
    row, column = torch.cartesian_prod(torch.arange(7), torch.arange(5)).T
    total = product_penalty(left[row], right[column], torch.tensor(0.25)).sum()
    norms = left.square().sum(0) * right.square().sum(0)
    assert torch.allclose(total, 0.25 / 0.75 * norms.sum(), rtol=1e-5)


def test_without_dropout_there_is_no_penalty() -> None:
    x, weight, p = torch.randn(4, 5), torch.randn(3, 5), torch.tensor(0.0)
    assert not feature_penalty(x, weight, x @ weight.T, p).any()
    assert not product_penalty(x, x, p).any()
