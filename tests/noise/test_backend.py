from __future__ import annotations

import importlib
import sys
import warnings

import pytest
import torch

import adaptive_dropout as ad
from adaptive_dropout.noise import backend
from adaptive_dropout.noise.settings import as_columns
from tests.noise.cases import KEY, PAIRS


@pytest.fixture
def no_kernels_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backend.KERNELS, "cpu", backend.Kernels("cpu"))


def assert_one_warning_and_the_same_noise() -> None:
    x, p = torch.randn(3000, requires_grad=True), torch.tensor(0.3)
    with pytest.warns(RuntimeWarning, match=r"noise on cpu is drawn in torch operations.*kernels failed: \w+Error"):
        PAIRS["mask"][0](x, p, KEY)
    for kernel, reference in PAIRS.values():  # a second warning would be an error
        y = kernel(x, p, KEY)
        assert torch.equal(y, reference(x, p, KEY))
        (gradient,) = torch.autograd.grad(y.sum(), x)
        torch.testing.assert_close(gradient, torch.autograd.grad(reference(x, p, KEY).sum(), x)[0])


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
        raise RuntimeError("no such instruction in LLVM")

    for name in cpu.__all__:
        monkeypatch.setattr(cpu, name, broken)
    assert_one_warning_and_the_same_noise()


@pytest.mark.parametrize(("name", "error"), [("mask", TypeError), ("no_such_kernel", AttributeError)])
def test_a_mistake_in_a_call_is_raised_and_the_kernels_stay(
    no_kernels_yet: None, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        backend.KERNELS["cpu"].call(name, ("too few arguments",))
    assert not backend.KERNELS["cpu"].failed


def test_a_torch_without_the_private_flag_gets_the_same_noise_from_the_reference_with_one_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = torch.randn(3000)
    expected = PAIRS["mask"][0](x, torch.tensor(0.3), KEY)
    with pytest.warns(RuntimeWarning, match=r"which is slower, because torch .* has no torch\._C\._no_such_flag"):
        flag = backend.private_flag("_no_such_flag")
    monkeypatch.setattr(backend, "transforming", flag)
    assert not backend.on_kernels(x)
    assert torch.equal(PAIRS["mask"][0](x, torch.tensor(0.3), KEY), expected)


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
    settings = torch.randn(2, *shape)
    spread = as_columns(settings, torch.Size((4, 3, 5)))
    assert spread.shape == (2, expected)
    full = spread.repeat_interleave(60 // expected, 1).reshape(2, 4, 3, 5)
    assert torch.equal(full, torch.stack([setting.expand(4, 3, 5) for setting in settings]))


def test_a_tensor_subclass_takes_the_reference() -> None:
    class Logged(torch.Tensor):
        pass

    x = torch.randn(3000)
    y = PAIRS["mask"][0](x.as_subclass(Logged), torch.tensor(0.3), KEY)
    assert torch.equal(y.as_subclass(torch.Tensor), PAIRS["mask"][1](x, torch.tensor(0.3), KEY))
