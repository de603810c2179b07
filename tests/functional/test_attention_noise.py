"""Keys and heads drop as often as the closed form says, one always stays, and nothing is ever NaN."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import adaptive_dropout as ad
from adaptive_dropout.functional import drop_head, drop_key, scaled_dot_product_attention

PS = [0.0, 0.001, 0.1, 0.5, 0.9, 1.0]
COUNTS = [2, 3, 7, 64]


def kept_counts(n: int, p: float) -> list[float]:
    """The probability that s of ``n`` stay, for s = 1 to n; p is the multiple of 2^-16 that is drawn."""
    p = round(p * 65536) / 65536
    law = [math.comb(n, s) * (1 - p) ** s * p ** (n - s) for s in range(n + 1)]
    return [law[1] + law[0], *law[2:]]


def check_share(dropped: Tensor, p: float) -> None:
    """Check the share of zeros in ``dropped``, (draws, n), against p - p^n / n; draws are independent, entries not."""
    n, p = dropped.shape[1], round(p * 65536) / 65536
    shares = dropped.double().mean(1)
    error = shares.std().item() / len(shares) ** 0.5
    assert abs(shares.mean().item() - (p - p**n / n)) <= 5 * error + 1e-12
    each = dropped.double().mean(0)
    spread = (p - p**n / n) * (1 - p + p**n / n)
    assert ((each - (p - p**n / n)).abs() <= 5 * (spread / len(dropped)) ** 0.5 + 1e-12).all()


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("p", PS)
def test_a_key_is_dropped_as_often_as_the_closed_form_says(p: float, n: int) -> None:
    check_share(drop_key(torch.zeros(5000, n), p) == -math.inf, p)


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("p", PS)
def test_heads_drop_by_the_closed_form_with_an_exact_mean_and_variance(p: float, n: int) -> None:
    y = drop_head(torch.ones(5000, n, 1, 3), p)
    assert torch.equal(y, y[..., :1].expand_as(y))
    y = y[:, :, 0, 0].double()
    check_share(y == 0, p)
    torch.testing.assert_close(y.mean(1), torch.ones(5000).double())  # the sum over heads stays, in every single draw
    each, error = y.mean(0), y.std(0) / 5000**0.5
    assert ((each - 1).abs() <= 5 * error + 1e-12).all()
    # The heads of an example have the mean square n / s where s of them stay.
    squares = y.square().mean(1)
    expected = sum(share * n / s for s, share in enumerate(kept_counts(n, p), start=1))
    assert abs(squares.mean().item() - expected) <= 5 * squares.std().item() / 5000**0.5 + 1e-5


def test_the_mean_of_attention_with_dropped_keys_is_not_attention() -> None:
    # documented: the largest weight falls, the others rise
    scores = torch.tensor([2.0, 0.0, 0.0, 0.0])
    mean = drop_key(scores.expand(20_000, 4), 0.3).softmax(-1).mean(0) - scores.softmax(-1)
    assert mean[0] < -0.05
    assert (mean[1:] > 0.01).all()


def test_known_defect_all_keys_dropped_gives_a_row_of_nan() -> None:
    future = torch.ones(9, 9, dtype=torch.bool).triu(1)
    for p in (0.5, 0.999, 1.0):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            scores = torch.randn(50, 9, 9, dtype=dtype).masked_fill(future, -math.inf).requires_grad_()
            weights = drop_key(scores, p).softmax(-1)
            assert weights.isfinite().all()
            torch.testing.assert_close(weights.sum(-1).float(), torch.ones(50, 9), atol=0.02, rtol=0)
            assert not weights[:, future].any()
            weights.square().sum().backward()
            assert scores.grad is not None
            assert scores.grad.isfinite().all()


@pytest.mark.parametrize("hidden", [-math.inf, torch.finfo(torch.float32).min, -1e9, -1e4])
def test_a_padded_key_is_never_the_one_that_stays(hidden: float) -> None:
    scores = torch.randn(2000, 6)
    scores[:, 2:] = hidden
    weights = drop_key(scores, 0.9).softmax(-1)
    assert not weights[:, 2:].any()
    check_share(weights[:, :2] == 0, 0.9)


def test_a_row_that_may_look_nowhere_stays_as_it_was() -> None:
    scores = torch.full((4, 3), -math.inf)
    assert torch.equal(drop_key(scores, 0.5), scores)
    q = torch.randn(2, 4, 8)
    mask = drop_key(torch.zeros(2, 4, 4).masked_fill(torch.eye(4, dtype=torch.bool)[:1], -math.inf), 0.5)
    assert scaled_dot_product_attention(q, q, q, 0.0, mask).isfinite().all()


def test_known_defect_keys_drop_at_eval() -> None:
    x = torch.randn(3, 4)
    assert ad.DropKey(0.9).eval()(x) is x


def test_known_defect_all_heads_dropped_divides_zero_by_zero() -> None:
    x = torch.ones(4000, 2, 1, 1, requires_grad=True)
    for p in (0.9, 1.0):
        y = drop_head(x, p)
        assert y.isfinite().all()
        assert (y.sum((1, 2, 3)) == 2).all()
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert torch.equal(gradient, y)


def test_keys_can_drop_for_all_queries_of_a_head() -> None:
    y = ad.DropKey(0.5, columns=True)(torch.zeros(20, 3, 5, 64)) == -math.inf
    assert torch.equal(y, y[:, :, :1].expand_as(y))
    assert not torch.equal(y[:, 0], y[:, 1])
    check_share(y[:, 0, 0], 0.5)


def test_a_mask_that_drops_keys_is_the_scores_that_drop_them() -> None:
    q, k, v = (torch.randn(2, 3, 9, 8) for _ in range(3))
    future = torch.ones(9, 9, dtype=torch.bool).triu(1)
    results = []
    for scores in ((q @ k.mT / 8**0.5), torch.zeros(2, 3, 9, 9)):
        torch.manual_seed(1)
        results.append(drop_key(scores.masked_fill(future, -math.inf), 0.7))
    fused = scaled_dot_product_attention(q, k, v, 0.0, results[1])
    torch.testing.assert_close(fused, results[0].softmax(-1) @ v)
    torch.testing.assert_close(fused, torch.nn.functional.scaled_dot_product_attention(q, k, v, results[1]))


def test_heads_of_any_dimension_drop() -> None:
    x = torch.ones(50, 7, 4, 2)
    for dim in (2, -2):
        y = ad.DropHead(0.5, dim=dim)(x)
        assert torch.equal(y, y[:, :1, :, :1].expand_as(y))
        assert (y.sum(2) == 4).all()


def test_each_head_can_have_its_own_p() -> None:
    y = drop_head(torch.ones(100, 3, 2, 2), torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1))
    assert torch.equal(y[:, :, 0, 0], torch.tensor([1.5, 0.0, 1.5]).expand(100, 3))
    scores = drop_key(torch.zeros(100, 3, 4), torch.tensor([0.0, 1.0, 0.5]).view(3, 1))
    assert not scores[:, 0].any()
    assert ((scores[:, 1] == 0).sum(-1) == 1).all()


@pytest.mark.parametrize("layer", [ad.DropKey(0.5), ad.DropHead(0.5)])
def test_vmap_and_checkpoints_draw_as_they_should(layer: ad.NoiseLayer) -> None:
    x = torch.ones(6, 3, 5, 5)
    y = torch.vmap(layer, randomness="different")(x[:, None])[:, 0]
    assert not torch.equal(y[0], y[1])
    assert not y.isnan().any()
    given = torch.randn(6, 3, 5, 5, requires_grad=True)
    grads = []
    for call in (layer, lambda x: checkpoint(layer, x, use_reentrant=False)):
        torch.manual_seed(1)
        grads.append(torch.autograd.grad(call(given).exp().sum(), given)[0])
    assert torch.equal(*grads)


def test_layers_say_their_settings() -> None:
    assert repr(ad.DropKey(0.25, columns=True)) == "DropKey(p=0.25, columns=True)"
    assert repr(ad.DropHead(0.25, dim=2)) == "DropHead(p=0.25, dim=2)"
    assert repr(ad.DropHead(ad.ConstantSchedule(0.25), 2)).startswith("DropHead(p=0.25, dim=2, rate=")


def test_wrong_input_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"two heads or more in dimension 1, but got shape \(4, 1, 2, 2\)"):
        drop_head(torch.ones(4, 1, 2, 2), 0.5)
    for dim in (0, 4, -4, 7):
        with pytest.raises(RuntimeError, match=rf"two heads or more in dimension {dim}"):
            drop_head(torch.ones(4, 3, 2, 2), 0.5, dim)
    with pytest.raises(RuntimeError, match=r"takes scores \(..., queries, keys\), but got shape \(4,\)"):
        drop_key(torch.ones(4), 0.5)
    for function in (drop_key, drop_head):
        with pytest.raises(RuntimeError, match="floating-point"):
            function(torch.ones(4, 4, dtype=torch.int64), 0.5)
        with pytest.raises(ValueError, match="pass no gradient to p"):
            function(torch.ones(4, 4), torch.tensor(0.5, requires_grad=True))
