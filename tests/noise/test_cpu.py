from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from adaptive_dropout.noise import cpu
from adaptive_dropout.noise.backend import KERNELS
from tests.noise.cases import KEY, PAIRS, PS, layouts, p_shapes

every_noise = pytest.mark.parametrize("name", PAIRS)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def last_bits(name: str, dtype: torch.dtype) -> float:
    """How far a kernel may be from its twin: torch's square root in float64 errs by a last bit, 3 roundings follow."""
    return 4 * torch.finfo(dtype).eps if (name, dtype) == ("gate at 2/3", torch.float64) else 0.0


@every_noise
@every_dtype
@pytest.mark.parametrize("layout", layouts(torch.float32))
def test_the_kernel_gives_the_bits_of_the_twin(name: str, dtype: torch.dtype, layout: str) -> None:
    x = layouts(dtype)[layout]
    kernel, twin = PAIRS[name]
    for p in PS:
        ours, expected = (noise(x, torch.tensor(p), KEY) for noise in (kernel, twin))
        torch.testing.assert_close(ours, expected, rtol=last_bits(name, dtype), atol=0)
        assert ours.stride() == torch.empty_like(x).stride()
    assert not KERNELS["cpu"].failed


@every_noise
@pytest.mark.parametrize("kind", range(5))
def test_p_may_differ_between_examples_channels_features_and_elements(name: str, kind: int) -> None:
    x = layouts(torch.float32)["contiguous"]
    p = torch.rand(p_shapes(x)[kind])
    kernel, twin = PAIRS[name]
    assert torch.equal(kernel(x, p, KEY), twin(x, p, KEY))


@every_noise
def test_the_bits_do_not_depend_on_the_number_of_threads(name: str, two_threads: None) -> None:
    x = torch.randn(300, 1001)
    kernel, twin = PAIRS[name]
    assert torch.equal(kernel(x, torch.tensor(0.3), KEY), twin(x, torch.tensor(0.3), KEY))


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
