"""A rate of 0 in training: the very input comes back, torch's generator stays where it is, and p may move again."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

import adaptive_dropout as ad
from adaptive_dropout import functional as F
from tests.contracts import input_for
from tests.test_contracts import exported


def moves(call: Callable[[], Tensor]) -> bool:
    before = torch.get_rng_state()
    call()
    return not torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("layer_class", exported(ad.NoiseLayer))
def test_a_layer_draws_nothing_and_passes_the_gradient_on(layer_class: type[ad.NoiseLayer]) -> None:
    layer = layer_class(ad.SettableRate(0.0))
    x = input_for(layer_class(ad.SettableRate(0.4))).requires_grad_()
    assert not moves(lambda: layer(x))
    layer(x).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones_like(x))
    layer.p = 0.4
    assert moves(lambda: layer(x))
    layer.p = 0.0
    assert not moves(lambda: layer(x))


@pytest.mark.parametrize("p", [0.0, 0, torch.tensor(0.0)])
def test_a_function_draws_nothing(p: float | Tensor) -> None:
    x = torch.randn(4, 3, 8, 8)
    alike = (F.dropout, F.dropout2d, F.drop_path, F.alpha_dropout, F.feature_alpha_dropout, F.gaussian_dropout)
    alike += (F.locked_dropout, F.weight_drop)
    for function in (*alike, F.concrete_dropout, F.concrete_dropout2d, F.bernoulli_dropout, F.word_dropout):
        assert not moves(partial(function, x, p)), function.__name__
        assert function(x, p) is x, function.__name__
    assert not moves(lambda: F.patch_dropout(x, p, 4))
    assert not moves(lambda: F.scaled_dot_product_attention(x, x, x, p))
    assert not moves(lambda: F.dropout_add(x, x, p))
    assert not moves(lambda: F.bias_relu_dropout(x, x[0, 0, 0], p))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_is_fused_is_the_same_without_its_mask(dtype: torch.dtype) -> None:
    x, y = torch.randn(2, 64, 32).to(dtype)
    assert torch.equal(F.dropout_add(x, y, 0.0), F.dropout_add(x, y, 1e-9))  # which drops none of 65536
    assert torch.equal(F.bias_relu_dropout(x, y[0], 0.0), F.bias_relu_dropout(x, y[0], 1e-9))


def test_what_is_no_input_is_refused_at_0_as_at_any_rate() -> None:
    with pytest.raises(RuntimeError, match="takes floating-point input"):
        ad.Dropout(0.0)(torch.ones(3, dtype=torch.int64))
    with pytest.raises(RuntimeError, match="dropout1d takes"):
        ad.Dropout1d(0.0)(torch.ones(2, 3, 4, 5))
    with pytest.raises(ValueError, match=r"has to be between 0 and 1, but got -0\.1"):
        F.dropout(torch.ones(3), -0.1)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*is deprecated")  # torch's own, of dual_level
def test_a_p_that_gets_a_gradient_is_no_number() -> None:
    x, p = torch.ones(100), torch.tensor(0.0, requires_grad=True)
    assert moves(lambda: F.concrete_dropout(x, p))
    assert F.concrete_dropout(x, p).requires_grad
    with forward_ad.dual_level():
        moving = F.bernoulli_dropout(x, forward_ad.make_dual(torch.tensor(0.0), torch.tensor(1.0)))
        assert forward_ad.unpack_dual(moving).tangent is not None


def test_recorded_code_draws_at_0_since_p_may_move_in_it(short_noise: None) -> None:
    layer, x = ad.Dropout(0.0), torch.ones(1000)
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(x), x)
    layer.p = 0.5
    assert (compiled(x) == 0).any()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda rate: pickle.loads(pickle.dumps(rate)), lambda r: r.double()])
def test_the_tensor_of_a_rate_knows_its_p(copied: Callable[[ad.SettableRate], ad.SettableRate]) -> None:
    rate = copied(ad.SettableRate(0.25))
    assert rate.value.known_p == 0.25
    rate.set(0.0)
    assert rate.value.known_p == 0.0
