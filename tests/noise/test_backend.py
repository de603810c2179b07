from __future__ import annotations

import importlib
import sys
import warnings

import pytest
import torch

import adaptive_dropout as ad
from adaptive_dropout.noise import backend
from adaptive_dropout.noise.backend import columns
from tests.noise.cases import KEY, PAIRS


@pytest.fixture
def no_kernels_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backend.KERNELS, "cpu", backend.Kernels("cpu"))


def assert_one_warning_and_the_same_noise() -> None:
    x, p = torch.randn(3000, requires_grad=True), torch.tensor(0.3)
    with pytest.warns(RuntimeWarning, match=r"noise on cpu is drawn in torch operations.*kernels failed: \w+Error"):
        PAIRS["mask"][0](x, p, KEY)
    for kernel, twin in PAIRS.values():  # a second warning would be an error
        y = kernel(x, p, KEY)
        assert torch.equal(y, twin(x, p, KEY))
        (gradient,) = torch.autograd.grad(y.sum(), x)
        torch.testing.assert_close(gradient, torch.autograd.grad(twin(x, p, KEY).sum(), x)[0])


def test_without_numba_the_noise_is_the_same_with_one_warning(
    no_kernels_yet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("adaptive_dropout.noise.cpu")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "numba", None)
    assert_one_warning_and_the_same_noise()


def test_a_kernel_that_does_not_compile_leaves_the_noise_the_same_with_one_warning(
    no_kernels_yet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = importlib.import_module("adaptive_dropout.noise.cpu")

    def broken(*_: object) -> None:
        raise TypeError("no such type in LLVM")

    for name in cpu.__all__:
        monkeypatch.setattr(cpu, name, broken)
    assert_one_warning_and_the_same_noise()


def test_without_kernels_a_layer_draws_with_torch_s_generator_and_saves_a_byte_for_an_element(
    no_kernels_yet: None,
) -> None:
    backend.KERNELS["cpu"].failed = True
    x = torch.ones(70_001, requires_grad=True)
    torch.manual_seed(1)
    saved: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        y = ad.functional.dropout(x, 0.3)
    assert sum(t.nbytes for t in saved if t.numel() > 1) == 70_001
    assert abs((y == 0).double().mean() - 0.3) < 5 * (0.3 * 0.7 / 70_001) ** 0.5
    assert y.max().item() == pytest.approx(1 / 0.7, rel=1e-4)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y)
    torch.manual_seed(1)
    assert torch.equal(ad.functional.dropout(x, 0.3), y)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_without_kernels_p_0_keeps_all_and_p_1_none(no_kernels_yet: None, p: float) -> None:
    backend.KERNELS["cpu"].failed = True
    assert torch.equal(ad.functional.dropout(torch.ones(9999), p), torch.full((9999,), 1 - p))


def test_the_kernels_need_no_warning(no_kernels_yet: None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PAIRS["mask"][0](torch.ones(3000), torch.tensor(0.3), KEY)
    assert not backend.KERNELS["cpu"].failed


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), 1), ((1, 1, 1), 1), ((4, 1, 1), 4), ((1, 3, 1), 12), ((4, 3, 1), 12), ((5,), 60), ((4, 1, 5), 60)],
)
def test_settings_are_spread_no_further_than_they_differ(shape: tuple[int, ...], expected: int) -> None:
    levels = torch.randn(2, *shape)
    spread = columns(levels, torch.Size((4, 3, 5)))
    assert spread.shape == (2, expected)
    full = spread.repeat_interleave(60 // expected, 1).reshape(2, 4, 3, 5)
    assert torch.equal(full, torch.stack([level.expand(4, 3, 5) for level in levels]))


def test_a_tensor_subclass_takes_the_twin() -> None:
    class Logged(torch.Tensor):
        pass

    x = torch.randn(3000)
    y = PAIRS["mask"][0](x.as_subclass(Logged), torch.tensor(0.3), KEY)
    assert torch.equal(y.as_subclass(torch.Tensor), PAIRS["mask"][1](x, torch.tensor(0.3), KEY))
