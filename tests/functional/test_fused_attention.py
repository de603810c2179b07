"""The attention operator: registered as compilers need it, and calling torch's kernels with the right arguments."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch._functorch.compile_utils import fx_graph_cse
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F

from adaptive_dropout.functional import attention_kernels
from adaptive_dropout.functional.attention_kernels import takes_flash
from adaptive_dropout.functional.fused_attention import attend, attention, attention_backward
from tests.fake_device import need_fakes

TRIL = torch.ones(6, 6, dtype=torch.bool).tril()


def inputs(key_heads: int = 4, channels: int = 8, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    shapes = (4, channels), (key_heads, channels), (key_heads, channels)
    return [torch.randn(2, h, 6, c, dtype=dtype, requires_grad=True) for h, c in shapes]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # opcheck reads it
@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize("mask", [None, TRIL[None, None], torch.randn(1, 4, 6, 6, dtype=torch.float64)])
def test_it_is_registered_as_compilers_need_it(key_heads: int, mask: Tensor | None) -> None:
    given = inputs(key_heads)
    plain = [x.detach() for x in given]
    args = (*plain, mask, torch.tensor(0.3), mask is None, 0.3)
    torch.library.opcheck(attention, args)
    drawn = list(attention(*args))
    torch.library.opcheck(attention_backward, (torch.randn_like(drawn[0]), plain, mask, drawn, args[5], 0.3, False))
    differentiable = torch.ops.adaptive_dropout.attend.default
    torch.library.opcheck(differentiable, (*given, *args[3:]), test_utils="test_aot_dispatch_static")


@pytest.mark.slow
@pytest.mark.parametrize("key_heads", [4, 2])
def test_its_gradients_are_those_of_the_weights_that_stay(key_heads: int) -> None:
    mask = torch.randn(1, 4, 6, 6, dtype=torch.float64, requires_grad=True)

    def seeded(*given: Tensor) -> Tensor:
        torch.manual_seed(0)
        return attend(*given[:3], torch.tensor(0.4), given[3], False, 0.3)

    assert torch.autograd.gradcheck(seeded, (*inputs(key_heads), mask))


@pytest.mark.parametrize("channels", [8, 5])
@pytest.mark.parametrize("mask", [None, TRIL, torch.randn(2, 1, 6, 6, dtype=torch.float64), torch.zeros(6, 1).double()])
def test_without_dropout_it_is_torchs(channels: int, mask: Tensor | None) -> None:
    given = inputs(channels=channels)
    ours = attend(*given, torch.tensor(0.0), mask, mask is None, channels**-0.5)
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(*given, attn_mask=mask, is_causal=mask is None))


def test_any_number_of_leading_dimensions_is_taken() -> None:
    for shape in ((6, 8), (4, 6, 8), (2, 4, 6, 8), (3, 2, 4, 6, 8)):
        x = torch.randn(shape)
        ours = attend(x, x, x, torch.tensor(0.0), None, True, 0.3)
        torch.testing.assert_close(ours, F.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.3))


def test_it_drops_as_often_as_set_and_nothing_stays_at_1() -> None:
    q, k, _ = (x.detach() for x in inputs())
    eye = torch.eye(6, dtype=torch.float64).expand(200, 4, 6, 6)
    q, k = q[:1].expand(200, -1, -1, -1), k[:1].expand(200, -1, -1, -1)
    for p in (0.3, 1.0):
        dropped = (attend(q, k, eye, torch.tensor(p), None, False, 0.3) == 0).double()
        assert abs(dropped.mean() - p) <= 5 * (p * (1 - p) / dropped.numel()) ** 0.5


def test_p_may_move_before_the_backward_pass() -> None:
    given, p = inputs(), torch.tensor(0.3)
    torch.manual_seed(1)
    expected = torch.autograd.grad(attend(*given, p, None, True, 0.3).sum(), given)
    torch.manual_seed(1)
    y = attend(*given, p, None, True, 0.3)
    p.fill_(0.9)
    for ours, theirs in zip(torch.autograd.grad(y.sum(), given), expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_it_is_one_graph_over_twenty_changes_of_p(backend: str, short_noise: None) -> None:
    torch._dynamo.reset()
    counter, p, given = CompileCounterWithBackend(backend), torch.tensor(0.0), inputs(dtype=torch.float32)
    compiled = torch.compile(lambda *x: attend(*x, p, None, True, 0.3), backend=counter, fullgraph=True)
    for step in range(20):
        p.fill_(step / 25)
        results = []
        for function in (compiled, lambda *x: attend(*x, p, None, True, 0.3)):
            torch.manual_seed(step)
            y = function(*given)
            results.append((y, *torch.autograd.grad(y.sum(), given)))
        torch.testing.assert_close(*results)
    assert counter.frame_count == 1


def test_two_calls_on_the_same_inputs_stay_two() -> None:
    q, k, v = (x.detach() for x in inputs())
    graph = make_fx(lambda p: attend(q, k, v, p, None, True, 0.3) + attend(q, k, v, p, None, True, 0.3))(torch.ones(()))
    merged = fx_graph_cse(graph.graph)
    calls = [node for node in merged.nodes if node.target is torch.ops.adaptive_dropout.attention.default]
    assert len(calls) == 2


@pytest.fixture
def any_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with and without a GPU, whatever its kind."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(attention_kernels, "_has_flash", lambda device: True)


# (dtype, heads of keys, keys, channels, value channels, causal, shape of a mask): whether flash takes it
RULE = {
    (torch.bfloat16, 4, 6, 64, 64, True, None): True,
    (torch.float16, 2, 6, 192, 192, False, None): True,
    (torch.float16, 4, 6, 200, 200, False, None): False,
    (torch.float32, 4, 6, 64, 64, True, None): False,
    (torch.bfloat16, 4, 7, 64, 64, True, None): False,
    (torch.bfloat16, 4, 7, 64, 64, False, None): True,
    (torch.bfloat16, 4, 6, 64, 32, False, None): False,
    (torch.bfloat16, 2, 6, 64, 64, False, (1, 1, 6, 6)): False,
}


@pytest.mark.usefixtures("any_device")
@pytest.mark.parametrize("case", RULE)
def test_on_a_device_the_kernels_get_what_they_take(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dtype, key_heads, keys, channels, value_channels, causal, mask_shape = case
    if mask_shape is not None:
        need_fakes()
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def spied(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append((name, args, kwargs))
            return getattr(torch.ops.aten, name)(*args, **kwargs)

        return call

    kinds = ("flash", "efficient")
    names = [f"_scaled_dot_product_{kind}_attention{end}" for kind in kinds for end in ("", "_backward")]
    monkeypatch.setattr(attention_kernels, "aten", SimpleNamespace(**{name: spied(name) for name in names}))
    with FakeTensorMode(), torch.no_grad():
        q, k, v = (
            torch.empty(2, t, h, c, device="cuda", dtype=dtype).transpose(1, 2)
            for h, t, c in ((4, 6, channels), (key_heads, keys, channels), (key_heads, keys, value_channels))
        )
        mask = None if mask_shape is None else torch.empty(mask_shape, device="cuda", dtype=dtype)
        assert takes_flash(q, k, v, mask, causal) is RULE[case]
        out, *drawn = attention(q, k, v, mask, torch.tensor(0.1), causal, 0.25)
        given = [q, k, v]
        gradients = attention_backward(
            torch.empty_like(out), given, mask, [out, *drawn], causal, 0.25, mask is not None
        )
    kind = kinds[not RULE[case]]
    assert [name for name, _, _ in calls] == [f"_scaled_dot_product_{kind}_attention{end}" for end in ("", "_backward")]
    (_, forward, scaled), (_, backward, scaled_back) = calls
    assert scaled == scaled_back == {"scale": 0.25}
    heads = key_heads if RULE[case] else 4
    assert [tuple(x.shape[:2]) for x in forward[:3]] == [(2, 4), (2, heads), (2, heads)]
    if RULE[case]:
        assert forward[3:] == (0.5, causal, False)
        assert backward[6:12] == (None, None, 6, keys, 0.5, causal)
    else:
        assert forward[4:] == (True, 0.5, causal)
        assert backward[9:] == (0.5, [True, True, True, mask is not None], causal)
        if mask is not None:
            assert tuple(forward[3].shape) == (2, 4, 6, keys)
            assert forward[3].stride()[-1] == 1
            assert all(stride % 16 == 0 for stride in forward[3].stride()[:-1])
    assert out.shape == (2, 4, 6, value_channels)
    assert out.dtype is dtype
    assert out.device.type == "cuda"
    expected = given if mask is None else [*given, mask]
    assert [(x.shape, x.dtype, x.device) for x in gradients] == [(x.shape, x.dtype, x.device) for x in expected]


@pytest.mark.usefixtures("any_device")
def test_heads_that_the_kernels_cannot_take_are_padded() -> None:
    need_fakes()
    with FakeTensorMode(), torch.no_grad():
        x = torch.empty(2, 4, 6, 60, device="cuda", dtype=torch.bfloat16)
        assert attend(x, x, x, torch.tensor(0.1), None, True, 1 / math.sqrt(60)).shape == x.shape


def test_autocast_reaches_the_operator() -> None:
    q, k, v = (x.detach().float() for x in inputs())
    with torch.autocast("cpu", torch.bfloat16):
        assert attend(q, k, v, torch.tensor(0.1), None, True, 0.3).dtype is torch.bfloat16


def test_a_second_derivative_raises() -> None:
    given = inputs()
    y = attend(*given, torch.tensor(0.3), None, True, 0.3)
    (gradient,) = torch.autograd.grad(y.square().sum(), given[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_an_impossible_p_raises() -> None:
    with pytest.raises(ValueError, match=r"1\.5"):
        attend(*inputs(), torch.tensor(1.5), None, True, 0.3)
