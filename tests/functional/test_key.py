"""A function of (x, p, key) is pure: the key alone decides what is dropped, however the function is run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from adaptive_dropout import functional
from adaptive_dropout.functional import (
    bias_relu_dropout,
    drop_block1d,
    drop_block2d,
    drop_block3d,
    drop_edge,
    drop_key,
    drop_node,
    drop_path_residual,
    dropout,
    dropout_add,
    embedding_dropout,
    gaussian_dropout,
    patch_dropout,
    remove_words,
    targeted_dropout,
    targeted_unit_dropout,
    zoneout,
)
from adaptive_dropout.functional.inputs import another
from adaptive_dropout.noise import backend

EDGES = torch.randint(90, (2, 400), generator=torch.Generator().manual_seed(0))
GIVEN: dict[str, Callable[..., Tensor]] = {
    "bias_relu_dropout": lambda x, p, **key: bias_relu_dropout(x, torch.zeros(x.shape[-1:]), p, **key),
    "drop_block1d": lambda x, p, **key: drop_block1d(x, p, 2, **key),
    "drop_block2d": lambda x, p, **key: drop_block2d(x, p, 2, **key),
    "drop_block3d": lambda x, p, **key: drop_block3d(x, p, 2, **key),
    "drop_edge": lambda x, p, **key: x.flatten()[:400] * drop_edge(EDGES, p, **key),
    "drop_key": lambda x, p, **key: drop_key(x, p, **key).exp(),
    "drop_node": lambda x, p, **key: x.flatten()[:90] * drop_node(EDGES, p, 90, **key).nodes,
    "drop_path_residual": lambda x, p, **key: drop_path_residual(x, torch.sin, p, **key),
    "dropout_add": lambda x, p, **key: dropout_add(x, torch.ones_like(x), p, **key),
    "embedding_dropout": lambda x, p, **key: embedding_dropout(
        x, torch.arange(x[..., 0].numel()).view(x.shape[:-1]), x[..., 0].numel(), p, **key
    ),
    "patch_dropout": lambda x, p, **key: patch_dropout(x, p, 2, **key),
    "remove_words": lambda x, p, **key: remove_words(x.flatten(2), p, torch.ones(x.shape[:2]) > 0, **key)[0],
    "targeted_dropout": lambda x, p, **key: targeted_dropout(x, p, 0.5, **key),
    "targeted_unit_dropout": lambda x, p, **key: targeted_unit_dropout(x, p, 0.5, **key),
    "zoneout": lambda x, p, **key: zoneout(x, torch.zeros_like(x), p, **key),
}


def takes_key(name: str) -> bool:
    parameters = inspect.signature(getattr(functional, name)).parameters
    return "key" in parameters and parameters["key"].default is None and (name in GIVEN or [*parameters][1] == "p")


NAMES = sorted(name for name in functional.__all__ if takes_key(name))
every = pytest.mark.parametrize("name", NAMES)


def function(name: str) -> Callable[..., Tensor]:
    return GIVEN.get(name, getattr(functional, name))


def input_for(name: str) -> Tensor:
    shape = {"1": (8, 6, 5), "3": (8, 6, 2, 5, 4)}.get(name[-2:-1], (8, 6, 5, 4))
    return torch.rand(shape) + 0.5


def test_plain_dropout_and_its_kin_take_a_key() -> None:
    kin = {name for name in functional.__all__ if name.partition("_")[2] == "dropout" or name[:7] == "dropout"}
    assert kin <= set(NAMES)


@every
def test_the_same_key_gives_the_same_noise_and_the_generator_stays(name: str) -> None:
    call, x = function(name), input_for(name)
    before = torch.get_rng_state()
    first, second, other = (call(x, 0.5, key=key) for key in (7, torch.tensor(7), 8))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(call(x, 0.0, key=7), call(x, 0.0))
    assert not torch.equal(call(x, 0.5), call(x, 0.5))


@every
@pytest.mark.filterwarnings("ignore:dropout2d reads:UserWarning")
def test_vmap_over_keys_is_a_loop_and_needs_no_randomness(name: str) -> None:
    call, x = function(name), input_for(name)
    batch, keys = torch.stack([x, x, x]), torch.tensor([3, 3, 4])
    together = torch.vmap(lambda x, key: call(x, 0.5, key=key))(batch, keys)
    alone = torch.stack([call(x, 0.5, key=key) for x, key in zip(batch, keys, strict=True)])
    torch.testing.assert_close(together, alone)
    assert torch.equal(together[0], together[1])
    shared = torch.vmap(lambda x: call(x, 0.5, key=3))(batch)
    torch.testing.assert_close(shared, alone[:1].expand_as(shared))


@every
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*is deprecated")
def test_the_gradient_is_that_of_the_mask_of_the_key(name: str) -> None:
    call, x = function(name), input_for(name)
    leaf = x.clone().requires_grad_()
    call(leaf, 0.5, key=5).sum().backward()
    assert leaf.grad is not None
    pure = torch.func.grad(lambda x: call(x, 0.5, key=torch.tensor(5)).sum())(x)
    torch.testing.assert_close(pure, leaf.grad)
    _, slope = torch.func.jvp(lambda x: call(x, 0.5, key=5), (x,), (torch.ones_like(x),))
    torch.testing.assert_close(slope.sum(), leaf.grad.sum())


def test_gradients_for_each_example_of_a_network_with_two_layers() -> None:
    weight, xs, keys = torch.randn(4, 6), torch.randn(5, 6), torch.arange(5) * 2

    def loss(weight: Tensor, x: Tensor, key: Tensor) -> Tensor:
        return gaussian_dropout(weight @ dropout(x, 0.5, key=key), 0.5, key=key + 1).square().sum()

    together = torch.vmap(torch.func.grad(loss), (None, 0, 0))(weight, xs, keys)
    alone = [torch.func.grad(loss)(weight, x, key) for x, key in zip(xs, keys, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.usefixtures("short_noise")
def test_compiled_code_has_the_mask_of_the_key_in_one_graph(backend: str) -> None:
    graphs: list[Any] = []

    def counted(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    torch._dynamo.reset()
    compiled, x = torch.compile(dropout, backend=counted, fullgraph=True), torch.rand(6, 50)
    for key in (0, 1, -1, 2**63 - 1, -(2**63)):
        assert torch.equal(compiled(x, 0.5, key=torch.tensor(key)) == 0, dropout(x, 0.5, key=key) == 0)
    assert len(graphs) == 1


def test_where_there_are_no_kernels_the_bits_are_those_of_the_key_too(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(100, 50)
    expected, before = dropout(x, 0.5, key=9), torch.get_rng_state()
    monkeypatch.setattr(backend.KERNELS["cpu"], "failed", True, raising=False)
    assert torch.equal(dropout(x, 0.5, key=9), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_second_draw_from_one_key_is_independent_of_the_first() -> None:
    first, second = (dropout(torch.ones(100_000), 0.5, key=key) for key in (5, another(5)))
    assert abs((first == second).sum().item() - 50_000) < 5 * 25_000**0.5
    assert another(None) is None


def test_neighbouring_keys_are_independent() -> None:
    n = 100_000
    x = torch.ones(n)
    kept = [dropout(x, 0.5, key=key) / 2 for key in range(8)]
    for one in range(8):
        for other in range(one):
            agree = (kept[one] == kept[other]).sum().item()
            assert abs(agree - n / 2) < 5 * (n / 4) ** 0.5


@pytest.mark.parametrize("key", [1.0, True, "7", None.__class__])
def test_what_is_no_number_is_refused(key: Any) -> None:
    with pytest.raises(TypeError, match="key has to be a whole number, or a 0-dim int64 tensor, but got"):
        dropout(torch.ones(3), 0.5, key=key)


@pytest.mark.parametrize("key", [2**63, -(2**63) - 1])
def test_more_than_64_bits_are_refused(key: int) -> None:
    with pytest.raises(ValueError, match=rf"fit into 64 bits, .* but got {key}"):
        dropout(torch.ones(3), 0.5, key=key)


@pytest.mark.parametrize("key", [torch.tensor(1.0), torch.tensor([1]), torch.tensor(1, device="meta")])
def test_a_tensor_of_another_kind_is_refused(key: Tensor) -> None:
    with pytest.raises(ValueError, match="0-dim int64 tensor on cpu, but got torch"):
        dropout(torch.ones(3), 0.5, key=key)
