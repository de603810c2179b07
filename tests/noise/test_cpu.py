from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

import adaptive_dropout as ad
from adaptive_dropout.noise import cpu
from adaptive_dropout.noise.loading import KERNELS
from adaptive_dropout.noise.philox import BLOCK, CHUNK, philox4x32
from tests.noise.cases import KEY, PAIRS, PS, layouts, p_shapes

# Of torch itself, the first time that it differentiates forwards.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*is deprecated")

every_noise = pytest.mark.parametrize("name", PAIRS)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def last_bits(name: str, dtype: torch.dtype) -> float:
    """How far a kernel may be from its reference: torch's float64 root errs by a last bit, 3 roundings follow."""
    return 4 * torch.finfo(dtype).eps if (name, dtype) == ("gate at 2/3", torch.float64) else 0.0


@every_noise
@every_dtype
@pytest.mark.parametrize("layout", layouts(torch.float32))
def test_the_kernel_gives_the_bits_of_the_reference(name: str, dtype: torch.dtype, layout: str) -> None:
    x = layouts(dtype)[layout]
    kernel, reference = PAIRS[name]
    for p in PS:
        ours, expected = (noise(x, torch.tensor(p), KEY) for noise in (kernel, reference))
        torch.testing.assert_close(ours, expected, rtol=last_bits(name, dtype), atol=0)
        assert ours.stride() == torch.empty_like(x).stride()
    assert not KERNELS["cpu"].failed


@every_noise
@pytest.mark.parametrize("kind", range(5))
def test_p_may_differ_between_examples_channels_features_and_elements(name: str, kind: int) -> None:
    x = layouts(torch.float32)["contiguous"]
    p = torch.rand(p_shapes(x)[kind])
    kernel, reference = PAIRS[name]
    assert torch.equal(kernel(x, p, KEY), reference(x, p, KEY))


@every_noise
def test_the_bits_do_not_depend_on_the_number_of_threads(name: str, two_threads: None) -> None:
    x = torch.randn(300, 1001)
    kernel, reference = PAIRS[name]
    assert torch.equal(kernel(x, torch.tensor(0.3), KEY), reference(x, torch.tensor(0.3), KEY))


def test_layouts_of_equal_elements_get_equal_noise() -> None:
    inputs = layouts(torch.float32)
    for kernel, _ in PAIRS.values():
        plain = kernel(inputs["contiguous"], torch.tensor(0.3), KEY)
        assert torch.equal(kernel(inputs["channels last"], torch.tensor(0.3), KEY), plain)


def test_p_0_keeps_the_sign_of_zero() -> None:
    y = PAIRS["mask"][0](torch.full((5000,), -0.0), torch.tensor(0.0), KEY)
    assert y.signbit().all()


def test_what_is_not_finite_stays_so_where_it_is_kept() -> None:
    x = torch.full((5000,), torch.inf)
    y = PAIRS["mask"][0](x, torch.tensor(0.3), KEY)
    assert torch.equal(y.isnan(), PAIRS["mask"][0](torch.ones(5000), torch.tensor(0.3), KEY) == 0)


def test_the_kernels_are_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(cpu, "mask", lambda *arguments: seen.append(arguments))
    PAIRS["mask"][0](torch.ones(5000), torch.tensor(0.3), KEY)
    assert len(seen) == 1


@pytest.mark.parametrize("start", [2**31 - 4096, 2**32, 2**36 + 4096])
def test_elements_beyond_2_31_have_the_counters_of_their_positions(start: int) -> None:
    # The kernel runs over the last chunk of a tensor that is not there, whose address is where it would begin.
    x, n = torch.ones(4000), 4000
    y, settings = torch.empty(n), np.array([[20000], [1]], np.float32)
    begin = [tensor.data_ptr() - 4 * start for tensor in (x, y)]
    cpu.mask(*begin, start + n, KEY.item(), settings, start // 4096, start // 4096 + 1)
    counter = torch.arange(CHUNK) + start // 8
    zero = torch.zeros_like(counter)
    low, high = KEY & 0xFFFFFFFF, KEY >> 32
    four = philox4x32((counter & 0xFFFFFFFF, counter >> 32, zero, zero), (low, high))
    lanes = torch.stack([half for word in four for half in (word & 0xFFFF, word >> 16)])
    halves = lanes.reshape(8, CHUNK // BLOCK, BLOCK).transpose(0, 1).flatten()[:n]
    assert torch.equal(y, (halves >= 20000).float())


@pytest.mark.parametrize("shape", [(30,), (5000,), (4, 8, 15, 15)])
@pytest.mark.parametrize("function", [ad.functional.dropout, ad.functional.alpha_dropout])
def test_in_place_it_is_the_same_in_the_memory_of_x(function: Callable[..., Tensor], shape: tuple[int, ...]) -> None:
    for p in (0.3, torch.tensor(0.3), torch.full(shape[:1] + (1,) * (len(shape) - 1), 0.3)):
        results = []
        for inplace in (False, True):
            torch.manual_seed(5)
            leaf = torch.linspace(-1, 2, math.prod(shape)).reshape(shape).requires_grad_()
            x = leaf * 2
            y = function(x, p, inplace)
            results.append((y, *torch.autograd.grad((y**2).sum(), leaf)))
            assert (y.data_ptr() == x.data_ptr()) == inplace
        for ours, expected in zip(*results, strict=True):
            assert torch.equal(ours, expected)


@pytest.mark.parametrize("layout", ["channels last", "transposed", "sliced"])
def test_in_place_it_keeps_the_layout(layout: str) -> None:
    x = layouts(torch.float32)[layout].clone(memory_format=torch.preserve_format)
    torch.manual_seed(5)
    expected = ad.functional.dropout(x, 0.3)
    torch.manual_seed(5)
    y = ad.functional.dropout(x, 0.3, inplace=True)
    assert y is x
    assert torch.equal(x, expected)


def test_a_leaf_that_gets_a_gradient_is_not_written_in_place() -> None:
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        ad.functional.dropout(torch.ones(5000, requires_grad=True), 0.3, inplace=True)


def test_forward_derivatives_pass_through_in_place() -> None:
    x, direction = torch.randn(2, 5000)
    with forward_ad.dual_level():
        torch.manual_seed(5)
        y = ad.functional.dropout(forward_ad.make_dual(x.clone(), direction.clone()), 0.3, inplace=True)
        tangent = forward_ad.unpack_dual(y).tangent
    torch.manual_seed(5)
    assert tangent is not None
    assert torch.equal(tangent, ad.functional.dropout(direction, 0.3))
