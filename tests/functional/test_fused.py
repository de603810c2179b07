from __future__ import annotations

import pytest
import torch
from torch import Tensor

import adaptive_dropout as ad
from adaptive_dropout.functional import bias_relu_dropout, drop_path, dropout, dropout_add


def with_seed(function: object, *arguments: object) -> Tensor:
    torch.manual_seed(3)
    y: Tensor = function(*arguments)  # type: ignore[operator]
    return y


@pytest.mark.parametrize("shape", [(5000,), (40, 130), (9, 4, 30, 30)])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_and_residual_are_the_sum_of_both(shape: tuple[int, ...], p: float) -> None:
    x, residual = torch.randn(2, *shape)
    fused = with_seed(dropout_add, x, residual, p)
    torch.testing.assert_close(fused, with_seed(dropout, x, p) + residual)


def test_bias_relu_and_dropout_are_one_after_the_other() -> None:
    x, bias = torch.randn(40, 130), torch.randn(130)
    fused = with_seed(bias_relu_dropout, x, bias, torch.tensor(0.3))
    torch.testing.assert_close(fused, with_seed(dropout, (x + bias).relu(), torch.tensor(0.3)))


def test_gradients_of_x_residual_and_bias_are_those_of_the_parts() -> None:
    x, residual = torch.randn(2, 60, 80)
    bias = torch.randn(80)
    results = []
    for add, relu in (
        (dropout_add, bias_relu_dropout),
        (lambda x, r, p: dropout(x, p) + r, lambda x, b, p: dropout((x + b).relu(), p)),
    ):
        leaves = [leaf.clone().requires_grad_() for leaf in (x, residual, bias)]
        y = with_seed(add, leaves[0], leaves[1], 0.4).square().sum()
        z = with_seed(relu, leaves[0], leaves[2], 0.4).square().sum()
        results.append(torch.autograd.grad(y + z, leaves))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected)


def test_drop_path_drops_whole_examples() -> None:
    y = drop_path(torch.ones(4000, 3, 2), 0.3).flatten(1)
    assert torch.equal(y, y[:, :1].expand_as(y))
    dropped = (y[:, 0] == 0).double().mean().item()
    assert abs(dropped - 0.3) < 5 * (0.3 * 0.7 / 4000) ** 0.5


def test_drop_path_is_the_identity_in_eval_mode_and_says_its_rate() -> None:
    layer = ad.DropPath(0.25).eval()
    x = torch.randn(3, 4)
    assert layer(x) is x
    assert repr(layer) == "DropPath(p=0.25)"


@pytest.mark.parametrize(
    ("residual", "message"),
    [
        (torch.ones(2, 4), r"residual has to be \(2, 3\) float32 on cpu as x is, but got \(2, 4\) float32"),
        (torch.ones(2, 3).double(), r"residual has to be .* but got \(2, 3\) float64 on cpu"),
        (torch.ones(2, 3, device="meta"), "but got .* on meta"),
    ],
)
def test_a_residual_unlike_x_is_named(residual: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dropout_add(torch.ones(2, 3), residual, 0.5)


@pytest.mark.parametrize("bias", [torch.ones(2), torch.ones(1, 3), torch.ones(3).half()])
def test_a_bias_without_a_number_for_each_feature_is_named(bias: Tensor) -> None:
    with pytest.raises(ValueError, match=r"bias has to have one number for each feature of x, \(2, 3\) float32"):
        bias_relu_dropout(torch.ones(2, 3), bias, 0.5)


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.bool])
def test_what_is_not_floating_point_is_refused(dtype: torch.dtype) -> None:
    x = torch.ones(3, dtype=dtype)
    for call in (lambda: dropout_add(x, x, 0.5), lambda: bias_relu_dropout(x, x, 0.5), lambda: drop_path(x, 0.5)):
        with pytest.raises(RuntimeError, match="dropout takes floating-point input, but got torch"):
            call()
