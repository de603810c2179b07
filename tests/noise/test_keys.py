"""A key follows torch's generator, and is the same one eager and compiled."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import adaptive_dropout as ad
from adaptive_dropout.functional import dropout_add
from adaptive_dropout.noise import keys
from adaptive_dropout.noise.keys import draw_from, draw_key, mix
from adaptive_dropout.noise.settings import as_key

backends = pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])


class FakeGenerator:
    """The three methods of a CUDA generator that a key needs."""

    def __init__(self, seed: int) -> None:
        self.seed, self.offset = seed, 0

    def initial_seed(self) -> int:
        return self.seed

    def get_offset(self) -> int:
        return self.offset

    def set_offset(self, offset: int) -> None:
        assert offset % 4 == 0
        self.offset = offset


class Layers(torch.nn.Module):
    """Each kind of noise, in sequence and in parallel branches; two of them on the same input."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds = torch.nn.ModuleList(
            [ad.Dropout(0.5), ad.AlphaDropout(0.5), ad.GaussianDropout(0.5), ad.ConcreteDropout(0.5), ad.Dropout2d(0.5)]
        )
        self.more = torch.nn.ModuleList([ad.DropPath(0.5), ad.WordDropout(0.5), ad.Dropout(0.5), ad.Dropout(0.5)])

    def forward(self, x: Tensor) -> list[Tensor]:
        branch = x.sin()
        for kind in self.kinds:
            x = kind(x)
        return [x, branch, *(kind(branch) for kind in self.more), dropout_add(branch, branch, 0.5)]


def step(call: Any, x: Tensor) -> list[Tensor]:
    """What a call returns for one seed, the gradient of x and the state of the generator after it."""
    torch.manual_seed(5)
    leaf = x.clone().requires_grad_()
    results = call(leaf)
    torch.stack([(result**2).sum() for result in results]).sum().backward()
    assert leaf.grad is not None
    return [*(result.detach() for result in results), leaf.grad, torch.get_rng_state()]


def assert_same(first: list[Tensor], second: list[Tensor]) -> None:
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one == 0, other == 0)
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_key_follows_the_seed_and_each_call_draws_its_own() -> None:
    x = torch.ones(1)
    torch.manual_seed(4)
    first, second = draw_key(x), draw_key(x)
    torch.manual_seed(4)
    assert first == draw_key(x)
    assert first != second
    torch.manual_seed(4)
    tensor = as_key(x, draw_key(x))
    assert (tensor.item(), tensor.dtype, tensor.shape) == (first, torch.int64, ())


def test_keys_fill_63_bits() -> None:
    keys = torch.tensor([draw_key(torch.ones(1)) for _ in range(200)])
    for bit in range(63):
        assert 0 < (keys >> bit & 1).sum() < 200
    assert (keys >= 0).all()


def test_the_hash_of_a_generator_s_state_is_split_mix_of_the_seed_and_again_of_the_offset() -> None:
    after_0, after_1234567 = 0xE220A8397B1DCDAF, 6457827717110365317  # SplitMix64's published first numbers
    assert mix(0, 1234567 - after_0) == after_1234567
    assert mix(1234567, 0 - after_1234567) == after_0 - 2**64


def test_no_two_states_of_a_generator_give_one_key() -> None:
    keys = [mix(seed, 4 * step) for seed in (0, 1, 2, 2**64 - 1) for step in range(20_000)]
    assert len(set(keys)) == len(keys)
    assert -(2**63) <= min(keys) < max(keys) < 2**63
    for bit in range(64):
        assert abs(sum(key >> bit & 1 for key in keys) - 40_000) < 5 * 80_000**0.5 / 2


def test_a_cuda_generator_s_state_is_all_that_a_key_depends_on() -> None:
    generator: Any = FakeGenerator(3)
    first, second = draw_from(generator), draw_from(generator)
    assert first != second
    generator.set_offset(0)  # as fork_rng, checkpointing and set_rng_state do
    assert [draw_from(generator), draw_from(generator)] == [first, second]
    assert draw_from(FakeGenerator(4)) not in (first, second)  # type: ignore[arg-type]


def test_a_cuda_device_s_key_is_a_number_from_the_host_unless_a_graph_is_captured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generators, capturing = [FakeGenerator(3), FakeGenerator(3)], False
    monkeypatch.setattr(keys, "on_kernels", lambda x: True)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "default_generators", generators)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing)
    x: Any = SimpleNamespace(is_cpu=False, is_cuda=True, device=SimpleNamespace(index=1))
    assert draw_key(x) == mix(3, 0)
    assert [generator.offset for generator in generators] == [0, 4]
    capturing = True
    x.device = torch.device("cpu")
    assert isinstance(draw_key(x), Tensor)
    assert [generator.offset for generator in generators] == [0, 4]


@pytest.mark.slow
@backends
@pytest.mark.usefixtures("short_noise")
def test_all_layers_draw_the_masks_of_eager_code_when_compiled(backend: str) -> None:
    torch._dynamo.reset()
    layers, x = Layers(), torch.randn(6, 5, 4, 3)
    eager, compiled = step(layers, x), step(torch.compile(layers, backend=backend, fullgraph=True), x)
    assert_same(eager, compiled)
    twice = compiled[4:6]
    assert not torch.equal(twice[0] == 0, twice[1] == 0)


def noise_of(key: Tensor, x: Tensor) -> Tensor:
    """x times 0 or 2 for the bits of the key in turn: a noise that compiles fast."""
    return x * (key >> torch.arange(x.numel()).view_as(x) % 60 & 1) * 2


@backends
def test_keys_of_parallel_branches_keep_their_order(backend: str) -> None:
    def branches(x: Tensor) -> list[Tensor]:
        early = torch.sin(x)  # inductor fuses it with its noise, before the noise of the product
        return [early, noise_of(as_key(x, draw_key(x)), x @ x), noise_of(as_key(early, draw_key(early)), early)]

    torch._dynamo.reset()
    x = torch.randn(32, 32)
    assert_same(step(branches, x), step(torch.compile(branches, backend=backend, fullgraph=True), x))


@backends
def test_a_checkpoint_in_compiled_code_differentiates_the_mask_of_the_forward_pass(backend: str) -> None:
    def block(x: Tensor) -> Tensor:
        h = noise_of(as_key(x, draw_key(x)), torch.sin(x))
        return noise_of(as_key(h, draw_key(h)), h.exp().transpose(0, 1).contiguous())

    def blocks(x: Tensor) -> list[Tensor]:
        for _ in range(2):
            x = torch.utils.checkpoint.checkpoint(block, 0.1 * x, use_reentrant=False)
        return [x]

    torch._dynamo.reset()
    x = torch.randn(32, 32)
    assert_same(step(blocks, x), step(torch.compile(blocks, backend=backend, fullgraph=True), x))


@backends
@pytest.mark.usefixtures("short_noise")
def test_a_checkpointed_layer_in_compiled_code_has_the_gradient_of_its_mask(backend: str) -> None:
    torch._dynamo.reset()
    layer, x = ad.Dropout(0.5), torch.randn(8, 24)

    def block(x: Tensor) -> list[Tensor]:
        return [torch.utils.checkpoint.checkpoint(lambda x: layer(x.sin()).exp(), x, use_reentrant=False)]

    assert_same(step(block, x), step(torch.compile(block, backend=backend, fullgraph=True), x))


@pytest.mark.parametrize(
    "settings",
    [
        {"backend": "aot_eager", "dynamic": True},
        pytest.param({"dynamic": True}, marks=pytest.mark.slow),
        pytest.param({"mode": "reduce-overhead"}, marks=pytest.mark.slow),
    ],
)
def test_keys_are_the_same_for_every_shape_and_mode(settings: dict[str, Any]) -> None:
    def drop(x: Tensor) -> list[Tensor]:
        return [noise_of(as_key(x, draw_key(x)), x)]

    torch._dynamo.reset()
    compiled = torch.compile(drop, fullgraph=True, **settings)
    for rows in (5, 7, 9):
        x = torch.randn(rows, 4)
        assert_same(step(drop, x), step(compiled, x))


def test_an_exported_program_does_not_need_this_library() -> None:
    class Draws(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return as_key(x, draw_key(x))

    program = torch.export.export(Draws(), (torch.ones(3),))
    assert "adaptive_dropout" not in str([node.target for node in program.graph.nodes])
