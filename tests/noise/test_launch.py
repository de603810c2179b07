"""What a layer on a CUDA device does, counted and timed without one: fake tensors, and launches that do nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import adaptive_dropout as ad
from adaptive_dropout.functional import bias_relu_dropout, dropout_add
from adaptive_dropout.noise import backend
from adaptive_dropout.noise.mask import mask, mask_reference
from adaptive_dropout.noise.settings import BERNOULLI, OfP
from tests.fake_device import need_fakes
from tests.noise.cases import KEY

pytest.importorskip("triton")

Call = Callable[[Tensor], Tensor]

LAYERS: dict[str, Callable[[], Call]] = {
    **{
        kind.__name__: lambda kind=kind: kind(0.3).to("cuda")
        for kind in (
            ad.Dropout,
            ad.Dropout2d,
            ad.AlphaDropout,
            ad.FeatureAlphaDropout,
            ad.GaussianDropout,
            ad.DropPath,
            ad.WordDropout,
        )
    },
    "Dropout in place": lambda: ad.Dropout(0.3, inplace=True).to("cuda"),
    "dropout_add": lambda: partial(dropout_add, residual=an_input(), p=torch.full((), 0.3, device="cuda")),
}
LEARNED = {"ConcreteDropout": ad.ConcreteDropout, "GaussianDropout": lambda: ad.GaussianDropout(ad.LearnedRate(0.1))}


class Counter(TorchDispatchMode):
    """Notes each operation, and raises where one would wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        devices = {arg.device.type for arg in args if isinstance(arg, Tensor)} | {(kwargs or {}).get("device")}
        made = func(*args, **kwargs or {})
        moved = isinstance(made, Tensor) and made.device.type != "cpu" and devices - {None} == {"cpu"}
        assert not moved, f"{func} copies to the device, and waits for it"
        assert "_local_scalar_dense" not in str(func), "a number is read from the device, which waits for it"
        # Others ask what a fake tensor is, and detach gives memory a second name.
        if func.namespace == "aten" and "detach" not in str(func):
            self.names.append(str(func))
        return made


class Generator:
    """Stands in for the generator of a device."""

    offset = 0

    def initial_seed(self) -> int:
        return 5

    def get_offset(self) -> int:
        return self.offset

    def set_offset(self, offset: int) -> None:
        self.offset = offset


def pretend_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "default_generators", (Generator(),))


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Tensors on a device of which only the shapes exist, and kernels that only note that they were started."""
    need_fakes()
    from adaptive_dropout.noise.cuda import launch

    started: list[str] = []
    monkeypatch.setattr(launch, "launch", lambda kernel, *_: started.append(kernel.__name__))
    monkeypatch.setattr(backend, "PLAIN", backend.PLAIN | {FakeTensor})
    monkeypatch.setattr(backend, "KERNELS", {"cpu": backend.Kernels("cpu"), "cuda": backend.Kernels("cuda")})
    pretend_generator(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # with a driver torch makes real tensors too
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield started


def count(call: Callable[[], Any]) -> tuple[list[str], Any]:
    with Counter() as counter:
        result = call()
    return counter.names, result


def backward(y: Tensor) -> list[str]:
    """Count what the backward pass of ``y`` does. Torch's engine would need a device, the function itself does not."""
    gradient = torch.empty_like(y)
    with torch.no_grad():
        return count(lambda: y.grad_fn.apply(gradient))[0]


def an_input() -> Tensor:
    return torch.empty(4, 16, 8, 8, device="cuda", requires_grad=True)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_one_launch_and_at_most_two_operations_each_way(name: str, launches: list[str]) -> None:
    layer, x = LAYERS[name](), an_input()
    given = x * 1 if "place" in name else x
    forward, y = count(lambda: layer(given))
    assert len(launches) == 1
    assert len(forward) <= 2, forward
    operations = backward(y)
    assert len(launches) == 2
    assert len(operations) <= 2, operations


@pytest.mark.parametrize("kind", [ad.Dropout, ad.Dropout2d, ad.GaussianDropout])
def test_a_layer_that_was_not_moved_gives_the_kernel_a_p_of_the_device(
    kind: type[ad.NoiseLayer], launches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from adaptive_dropout.noise.cuda import launch

    given: list[Tensor] = []
    monkeypatch.setattr(launch, "launch", lambda kernel, chunks, arrays, pointers, *_: given.append(pointers[-1]))
    with torch.device("cpu"):
        layer = kind(0.3)
    layer(an_input())
    assert [pointer.device.type for pointer in given] == ["cuda"]


def test_bias_and_relu_are_in_the_launch(launches: list[str]) -> None:
    x, bias, p = torch.empty(64, 32, device="cuda", requires_grad=True), *torch.empty(2, 32, device="cuda")
    p = torch.full((), 0.3, device="cuda")
    forward, y = count(lambda: bias_relu_dropout(x, bias, p))
    assert (launches, len(forward)) == (["relu_mask"], 2)  # the result, and a copy of a p that anyone may write to
    assert len(backward(y)) == 1
    assert launches[1:] == ["relu_mask_backward"]


@pytest.mark.parametrize("name", LEARNED)
def test_a_learned_p_is_read_in_the_launch_and_gets_its_gradient_from_a_second_one(
    name: str, launches: list[str]
) -> None:
    with torch.device("cuda"):
        layer, x = LEARNED[name](), an_input()
    forward, y = count(lambda: layer(x))
    assert len(launches) == 1
    assert len(forward) <= 2, forward  # the p of the logit, and the result
    operations = backward(y)
    assert len(launches) == 3
    assert len(operations) <= 3, operations  # two results, and the sums of which the second is made


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_a_known_zero_launches_nothing(p: float, launches: list[str]) -> None:
    layer = ad.Dropout(p).to("cuda")
    y = layer(torch.empty(100, device="cuda"))
    assert y.shape == (100,)
    assert len(launches) == (p > 0)


def test_a_captured_graph_draws_its_key_on_the_device(launches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    layer = ad.Dropout(0.3).to("cuda")
    names, _ = count(lambda: layer(torch.empty(100, device="cuda")))
    assert [name for name in names if "randint" in name]
    assert len(launches) == 1


class OnDevice(Tensor):
    """A tensor on the CPU that says it is on a device, and costs no more than a plain one."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    is_cuda, is_cpu = True, False  # type: ignore[assignment]
    device = torch.device("cuda:0")  # type: ignore[assignment]

    def get_device(self) -> int:
        return 0


class Started:
    """A compiled kernel that does nothing."""

    function = packed_metadata = None

    @staticmethod
    def run(*_: Any) -> None: ...


class Kernel:
    """A kernel that Triton would compile."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getitem__(self, _: Any) -> Callable[..., type[Started]]:
        return lambda *_, **__: Started


@pytest.fixture
def no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the host's work, from the layer to the start of the compiled kernel, which does nothing."""
    from adaptive_dropout.noise.cuda import gates, launch, masks, normals

    for module in (masks, normals, gates):
        for name in module.__all__:
            monkeypatch.setattr(module, name, Kernel(name))
    monkeypatch.setattr(launch, "current_device", lambda: 0)
    monkeypatch.setattr(launch, "_stream_of", lambda: lambda device: 0)
    zero = torch.zeros((), dtype=torch.int64)
    monkeypatch.setattr(launch, "_zero", lambda device: zero)
    monkeypatch.setattr(launch, "KEPT", {})
    monkeypatch.setattr(launch, "beside", lambda held, x: held)  # what is read from an `OnDevice` says it is not there
    monkeypatch.setattr(backend, "PLAIN", backend.PLAIN | {OnDevice})
    monkeypatch.setattr(backend, "KERNELS", {"cpu": backend.Kernels("cpu"), "cuda": backend.Kernels("cuda")})
    pretend_generator(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)


def on_device(layer: ad.NoiseLayer) -> ad.NoiseLayer:
    value = layer.rate.value.as_subclass(OnDevice)
    value.known_p = layer.p  # type: ignore[attr-defined]
    layer.rate._buffers["value"] = value
    return layer


@pytest.mark.parametrize("kind", [ad.Dropout, ad.AlphaDropout, ad.GaussianDropout, ad.Dropout2d])
def test_the_backward_pass_has_the_p_of_the_forward_pass(
    kind: type[ad.NoiseLayer], no_launch: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adaptive_dropout.noise.cuda import launch

    read: list[float] = []
    monkeypatch.setattr(
        launch, "launch", lambda kernel, programs, arrays, pointers, *_: read.append(float(pointers[1]))
    )
    layer, leaf = on_device(kind(0.3)), torch.ones(2, 3, 4, 4).as_subclass(OnDevice).requires_grad_()
    y = layer(leaf)
    layer.p = 0.8
    torch.autograd.grad(y, leaf, torch.ones(2, 3, 4, 4).as_subclass(OnDevice))
    assert read == pytest.approx([0.3, 0.3])


def test_a_graph_captured_without_warming_up_takes_the_reference(
    no_launch: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    x, settings = torch.randn(3000), OfP(torch.tensor(0.3), BERNOULLI)
    y = mask(x.as_subclass(OnDevice), settings, KEY)
    assert torch.equal(y.as_subclass(Tensor), mask_reference(x, settings, KEY))
    assert not backend.KERNELS["cuda"].failed


def calls(run: Callable[[], Any]) -> int:
    """Count the calls of functions, Python's and built-in ones; `benchmarks.gpu` has the times."""
    run()
    seen: list[str] = []
    sys.setprofile(lambda frame, event, argument: seen.append(event) if event in ("call", "c_call") else None)
    try:
        run()
    finally:
        sys.setprofile(None)
    return len(seen)


@pytest.mark.parametrize("kind", [ad.Dropout, ad.GaussianDropout, ad.AlphaDropout])
def test_the_host_makes_few_calls(kind: type[ad.NoiseLayer], no_launch: None) -> None:
    x, gradient = (torch.ones(4, 4).as_subclass(OnDevice) for _ in range(2))
    leaf = torch.ones(4, 4).as_subclass(OnDevice).requires_grad_()
    ours = on_device(kind(0.3))
    assert calls(lambda: ours(x)) <= 90  # 83 to 86, Python 3.10 to 3.13
    assert calls(lambda: torch.autograd.grad(ours(leaf), leaf, gradient)) <= 205  # 175 to 200
