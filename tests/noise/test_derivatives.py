from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from adaptive_dropout.functional import bias_relu_dropout
from tests.noise.cases import KEY, PAIRS, p_shapes

# Of torch itself, the first time that it differentiates forwards.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*torch.jit.script.*is deprecated")]

every_noise = pytest.mark.parametrize("name", PAIRS)
learned = pytest.mark.parametrize("name", [name for name in PAIRS if "mask" not in name])


def x_and_p(kind: int = 0, learned: bool = False) -> tuple[Tensor, Tensor]:
    x = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    p = 0.2 + 0.5 * torch.rand(p_shapes(x)[kind], dtype=torch.float64)
    return x, p.requires_grad_(learned)


@every_noise
def test_first_second_and_forward_derivatives_by_x_are_right(name: str) -> None:
    x, p = x_and_p()
    noise = partial(PAIRS[name][0], p=p, key=KEY)
    assert gradcheck(noise, x, check_forward_ad=True)
    assert gradgradcheck(lambda x: noise(x) ** 2, x)


@learned
@pytest.mark.parametrize("kind", range(5))
def test_first_second_and_forward_derivatives_by_p_are_right(name: str, kind: int) -> None:
    noise = partial(PAIRS[name][0], key=KEY)
    assert gradcheck(noise, x_and_p(kind, learned=True), check_forward_ad=True)
    assert gradgradcheck(lambda x, p: noise(x, p) ** 2, x_and_p(kind, learned=True))


@learned
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_of_p_reduced_in_the_kernel_is_that_of_the_reference(name: str, dtype: torch.dtype) -> None:
    x, weights = torch.randn(2, 70_001, dtype=torch.float64).to(dtype)
    gradients = []
    for noise in PAIRS[name]:
        p = torch.tensor(0.3, requires_grad=True)
        (noise(x, p, KEY) * weights).float().sum().backward()
        gradients.append(p.grad)
    # k is rounded to eps, and has a slope of up to k (1 - k) 10 / odds at T = 0.1; n errors add up to sqrt(n) of them.
    torch.testing.assert_close(*gradients, rtol=0, atol=5 * 70_001**0.5 * torch.finfo(dtype).eps * 10 * 0.7 / 0.3)


@pytest.mark.parametrize("name", [name for name in PAIRS if "relu" not in name])
def test_nothing_of_the_size_of_x_is_saved(name: str) -> None:
    saved: list[int] = []
    x = torch.randn(5000, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        PAIRS[name][0](x, torch.tensor(0.3), KEY).sum().backward()
    assert sum(saved) < 20


def test_behind_relu_only_the_result_is_saved() -> None:
    saved: list[Tensor] = []
    x = torch.randn(50, 100, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        y = bias_relu_dropout(x, torch.zeros(100), 0.3)
    assert {t.data_ptr() for t in saved if t.numel() > 2} == {y.data_ptr()}


@learned
def test_only_x_is_saved_where_p_gets_a_gradient(name: str) -> None:
    saved: list[Tensor] = []
    x, p = torch.randn(5000, requires_grad=True), torch.tensor(0.3, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        PAIRS[name][0](x, p, KEY)
    assert {t.data_ptr() for t in saved if t.numel() > 1} == {x.data_ptr()}


@every_noise
@pytest.mark.parametrize("shape", [(7,), (5000,), (60, 50)])
def test_func_transforms_agree_with_the_reference(name: str, shape: tuple[int, ...]) -> None:
    x, direction = torch.randn(2, *shape)
    results = []
    for noise in PAIRS[name]:
        function = partial(noise, p=torch.tensor(0.3), key=KEY)
        results.append(
            (
                torch.func.grad(lambda x, f=function: (f(x) ** 2).sum())(x),
                *torch.func.jvp(function, (x,), (direction,)),
                torch.func.grad(lambda x, f=function: torch.func.grad(lambda x: (f(x) ** 3).sum())(x).sum())(x),
            )
        )
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected)


@every_noise
def test_a_vmap_gives_each_example_the_noise_of_its_key_and_p(name: str) -> None:
    x, keys, ps = torch.randn(4, 2500), torch.arange(4) << 33, torch.tensor([0.0, 0.2, 0.5, 0.8])
    noise = PAIRS[name][0]
    each = [noise(*example) for example in zip(x, ps, keys, strict=True)]
    assert torch.equal(torch.vmap(noise)(x, ps, keys), torch.stack(each))
    same = torch.vmap(noise, in_dims=(1, None, None), out_dims=1)(x, ps[1], KEY)
    assert torch.equal(same, torch.stack([noise(column, ps[1], KEY) for column in x.T], 1))


@every_noise
def test_gradients_of_each_example_come_from_a_vmap(name: str) -> None:
    x, keys = torch.randn(4, 2500), torch.arange(4) << 33
    slope = torch.func.grad(lambda x, key: (PAIRS[name][0](x, torch.tensor(0.3), key) ** 2).sum())
    each = [slope(*example) for example in zip(x, keys, strict=True)]
    torch.testing.assert_close(torch.vmap(slope)(x, keys), torch.stack(each))


@learned
def test_a_tangent_of_p_alone_moves_the_result(name: str) -> None:
    x = torch.randn(5000, dtype=torch.float64)
    with forward_ad.dual_level():
        p = forward_ad.make_dual(torch.tensor(0.3).double(), torch.tensor(1.0).double())
        ours, expected = (forward_ad.unpack_dual(noise(x, p, KEY)).tangent for noise in PAIRS[name])
    assert ours is not None
    torch.testing.assert_close(ours, expected)
