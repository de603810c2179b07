from __future__ import annotations

import copy
import pickle
import random
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import adaptive_dropout as ad
from tests.fake_device import backward, fake_cuda, no_waits


class AddOne(nn.Module):
    """Counts itself: the output of a list of these is the number of layers that ran."""

    def forward(self, x: Tensor, *_: object) -> Tensor:
        return x + 1


class Residual(nn.Linear):
    """A layer that can be skipped."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.tanh(super().forward(x))


def residuals(count: int = 4) -> list[nn.Module]:
    return [Residual(3, 3) for _ in range(count)]


@pytest.mark.parametrize("p", [0.0, 0.001, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(("layers", "calls"), [(1, 300), (7, 100), (900, 8)])
def test_layers_are_skipped_with_probability_p(p: float, layers: int, calls: int) -> None:
    drop = ad.LayerDrop([AddOne() for _ in range(layers)], p)
    ran = sum(int(drop(torch.zeros(()))) for _ in range(calls))
    n, used = layers * calls, round(p * 65536) / 65536  # p comes in steps of 2^-16
    assert abs(n - ran - n * used) <= 5 * (n * used * (1 - used)) ** 0.5


def test_each_layer_can_have_its_own_p() -> None:
    drop = ad.LayerDrop([AddOne() for _ in range(3)], [0.0, 0.5, 1.0])
    ran = [int(drop(torch.zeros(()))) for _ in range(400)]
    assert set(ran) == {1, 2}
    assert abs(sum(ran) - 600) <= 5 * (400 * 0.25) ** 0.5
    assert ad.get_rates(drop) == {"rate0": 0.0, "rate1": 0.5, "rate2": 1.0}
    ad.set_rates(drop, {"rate1": 1.0})
    assert drop.p == pytest.approx(2 / 3)
    drop.p = 0.0
    assert drop(torch.zeros(())).item() == 3


def test_some_layers_can_share_a_rate() -> None:
    late = ad.SettableRate(1.0)
    drop = ad.LayerDrop([AddOne() for _ in range(4)], [0.0, 0.0, late, late])
    assert drop(torch.zeros(())).item() == 2
    assert list(ad.get_rates(drop)) == ["rate0", "rate1", "rate2"]


def test_a_layer_is_skipped_for_the_whole_batch_and_takes_no_time() -> None:
    drop, calls = ad.LayerDrop(residuals(), 0.5), 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    for layer in drop:
        layer.register_forward_hook(count)
    x = torch.randn(1, 3).expand(50, 3)
    y = drop(x)
    assert torch.equal(y, y[:1].expand(50, 3))
    for _ in range(99):
        drop(x)
    assert abs(calls - 200) <= 5 * 10


def test_evaluation_runs_all_layers_and_rescales_nothing() -> None:
    layers = residuals()
    drop, x = ad.LayerDrop(layers, 0.9).eval(), torch.randn(5, 3)
    before = torch.get_rng_state()
    assert torch.equal(drop(x), nn.Sequential(*layers)(x))
    assert torch.equal(before, torch.get_rng_state())


def test_at_1_the_output_is_the_input_and_at_0_nothing_is_drawn() -> None:
    drop, x = ad.LayerDrop(residuals(), 1.0), torch.randn(5, 3)
    assert torch.equal(drop(x), x)
    drop.p = 0.0
    before = torch.get_rng_state()
    assert torch.equal(drop(x), nn.Sequential(*drop)(x))
    assert torch.equal(before, torch.get_rng_state())


def test_rescaled_layers_have_the_mean_of_their_branch() -> None:
    n = 1500
    drop = ad.LayerDrop([AddOne(), AddOne()], [0.25, 0.6], rescale=True)
    values = torch.stack([drop(torch.zeros(())) for _ in range(n)])
    assert abs(values.mean() - 2) <= 5 * values.std() / n**0.5
    assert values.max().item() == pytest.approx(1 / 0.75 + 1 / 0.4, rel=1e-4)
    assert drop.eval()(torch.zeros(())).item() == 2


def test_counting_and_going_through_the_list_draws_nothing_unlike_a_list_that_drops_when_read() -> None:
    drop = ad.LayerDrop(residuals(6), 0.5)
    before = torch.get_rng_state()
    assert len(drop) == len(list(drop)) == len([*drop]) == 6
    assert drop[-1] is list(drop)[5]
    assert torch.equal(before, torch.get_rng_state())


def test_the_layers_skipped_follow_torch_s_seed_unlike_those_of_python_s_generator() -> None:
    drop, x = ad.LayerDrop([AddOne() for _ in range(60)], 0.5), torch.zeros(())
    runs = []
    for seed in (1, 1, 2):
        random.seed(0)
        torch.manual_seed(seed)
        runs.append([drop(x).item() for _ in range(5)])
    assert runs[0] == runs[1] != runs[2]
    x = torch.zeros((), requires_grad=True)
    torch.manual_seed(3)
    wanted = drop(x)
    torch.manual_seed(3)
    again = checkpoint(drop, x, use_reentrant=False)
    torch.randn(7)
    again.backward()
    assert torch.equal(again, wanted)


def test_replicas_of_one_seed_skip_the_same_layers() -> None:
    drop, runs = ad.LayerDrop([AddOne() for _ in range(60)], [index / 60 for index in range(60)]), []
    try:
        for replica in (0, 5):
            ad.set_replica(replica)
            torch.manual_seed(3)
            runs.append([drop(torch.zeros(())).item() for _ in range(5)])
    finally:
        ad.set_replica(0)
    assert runs[0] == runs[1]


def test_a_skipped_layer_gets_a_gradient_of_zeros_unlike_none() -> None:
    # Without, DistributedDataParallel raises, or has to search for what was not used.
    drop = ad.LayerDrop(residuals(3), [0.0, 1.0, 1.0])
    drop(torch.randn(5, 3)).sum().backward()
    assert drop[0].weight.grad.any()
    for layer in (drop[1], drop[2]):
        assert torch.equal(layer.weight.grad, torch.zeros(3, 3))
    drop[1].weight.requires_grad_(False).grad = None
    drop(torch.randn(5, 3)).sum().backward()
    assert drop[1].weight.grad is None
    drop.p = 1.0
    x = torch.randn(5, 3, requires_grad=True)
    drop(x).sum().backward()
    assert torch.equal(x.grad, torch.ones(5, 3))
    with torch.no_grad():
        assert drop(x) is x


def test_the_keys_of_a_checkpoint_are_those_of_the_list() -> None:
    named = nn.Sequential(OrderedDict(first=nn.Linear(3, 3), second=nn.Linear(3, 3)))
    for layers in (named, nn.ModuleList(residuals()), nn.Sequential(*residuals())):
        drop = ad.LayerDrop(layers, [0.1] * len(layers))
        assert list(drop.state_dict()) == list(layers.state_dict())
        drop.load_state_dict(layers.state_dict())
    assert list(ad.LayerDrop(residuals(2)).state_dict()) == list(nn.ModuleList(residuals(2)).state_dict())


def test_one_layer_used_twice_counts_twice() -> None:
    layer = AddOne()
    assert ad.LayerDrop(nn.Sequential(layer, layer), 0.0)(torch.zeros(())).item() == 2


def test_a_slice_is_the_pruned_list_with_its_rates() -> None:
    drop = ad.LayerDrop(residuals(5), [0.0, 0.1, 0.2, 0.3, 0.4], rescale=True).eval()
    half = drop[::2]
    assert (len(half), half.rescale, half.training) == (3, True, False)
    assert half[1] is drop[2]
    assert half.rates == drop.rates[::2]
    shared = ad.LayerDrop(residuals(5), 0.3)
    assert shared[:2].rate is shared.rate


def test_the_other_arguments_reach_every_layer() -> None:
    class Add(nn.Module):
        def forward(self, x: Tensor, more: Tensor, scale: float = 1.0) -> Tensor:
            return x + scale * more

    drop = ad.LayerDrop([Add(), Add()], 0.0)
    assert drop(torch.zeros(2), torch.ones(2), scale=3.0).tolist() == [6.0, 6.0]


def test_it_is_found_steered_copied_and_shown() -> None:
    model = nn.ModuleDict({"blocks": ad.LayerDrop(residuals(2), ad.LinearSchedule(0.0, 0.4, steps=4))})
    ad.set_step(model, 2)
    assert ad.get_rates(model) == {"blocks": pytest.approx(0.2)}
    (row,) = ad.inventory(model)
    assert (row.kind, row.reachable) == ("LayerDrop", True)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model["blocks"])))
    assert repr(twin) == "LayerDrop(\n  p=0.2\n  (0-1): 2 x Residual(in_features=3, out_features=3, bias=True)\n)"
    assert "p=0.3, rescale=True" in repr(ad.LayerDrop(residuals(2), 0.3, rescale=True))


@pytest.mark.parametrize("p", [0.5, [0.5] * 6])
def test_monte_carlo_samples_skip_layers(p: float | list[float]) -> None:
    model, x = nn.Sequential(ad.LayerDrop(residuals(6), p)).eval(), torch.randn(4, 3)
    samples = ad.mc_samples(model, x, samples=30)
    assert samples.shape == (30, 4, 3)
    assert samples.std(0).min() > 0
    with ad.mc_dropout(model):
        assert not torch.equal(model(x), model(x))


@pytest.mark.parametrize("rescale", [False, True])
def test_under_vmap_each_example_skips_its_own(rescale: bool) -> None:
    drop = ad.LayerDrop([AddOne() for _ in range(3)], 0.5, rescale=rescale)
    ran = torch.vmap(drop, randomness="different")(torch.zeros(2000)) / (2 if rescale else 1)
    assert set(ran.tolist()) == {0.0, 1.0, 2.0, 3.0}
    assert abs(ran.sum().item() - 3000) <= 5 * (6000 * 0.25) ** 0.5


def test_it_waits_for_no_device() -> None:
    with fake_cuda():
        drop, x = ad.LayerDrop(residuals(), 0.5), torch.ones(2, 3, requires_grad=True)
        with no_waits():
            backward(drop(x).square().mean())


def test_it_is_one_call_for_fx() -> None:
    model, x = nn.Sequential(ad.LayerDrop(residuals(), 0.5)), torch.randn(2, 3)
    graph = torch.fx.symbolic_trace(model)
    assert [node.target for node in graph.graph.nodes if node.op == "call_module"] == ["0"]
    assert torch.equal(graph.eval()(x), model.eval()(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("rescale", [False, True])
def test_the_output_keeps_its_dtype(dtype: torch.dtype, rescale: bool) -> None:
    drop = ad.LayerDrop(residuals(), 0.5, rescale=rescale).to(dtype)
    assert drop(torch.ones(2, 3, dtype=dtype)).dtype == dtype
    assert drop.rate.value.dtype == torch.float32


@pytest.mark.slow
def test_twenty_changes_of_p_are_one_graph_that_skips_what_eager_code_skips(short_noise: None) -> None:
    drop, x, graphs = ad.LayerDrop(residuals(3), [0.5] * 3), torch.randn(5, 3), []
    torch._dynamo.reset()
    compiled = torch.compile(drop, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True)
    for step in range(1, 21):
        drop.p = step / 20
        torch.manual_seed(step)
        found = compiled(x)
        torch.manual_seed(step)
        assert torch.allclose(found, drop(x)), step
    assert len(graphs) == 1


def test_wrong_input_is_told() -> None:
    with pytest.raises(TypeError, match=r"takes a list of layers, but got one layer, Linear\("):
        ad.LayerDrop(nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes layers, but got 3"):
        ad.LayerDrop([nn.Linear(2, 2), 3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="needs at least one layer, but got none"):
        ad.LayerDrop([])
    with pytest.raises(ValueError, match="one p, or one for each of its 2 layers, but got 3"):
        ad.LayerDrop(residuals(2), [0.1, 0.2, 0.3])
    with pytest.raises(TypeError, match="LayerDrop passes no gradient to a learned p"):
        ad.LayerDrop(residuals(2), ad.LearnedRate(0.1))
    with pytest.raises(TypeError, match=r"p has to be a number between 0 and 1, but got '0\.5'"):
        ad.LayerDrop(residuals(2), "0.5")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="gives a tensor to the next layer, but got tuple from GRU"):
        ad.LayerDrop([nn.GRU(2, 2)], 0.0)(torch.ones(1, 1, 2))
