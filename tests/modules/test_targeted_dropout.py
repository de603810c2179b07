"""`TargetedDropout`: the smallest weights or units of a module, and no others, are lost in training."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout import functional as F

PS = [0.0, 0.001, 0.1, 0.5, 0.9, 1.0]
KINDS = [ad.TargetedDropout, ad.TargetedUnitDropout]


def within_5_standard_errors(dropped: int, n: int, p: float) -> bool:
    return abs(dropped - n * p) <= 5 * (n * p * (1 - p)) ** 0.5 + n * 2**-17


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize(("shape", "fraction"), [((3, 1), 1.0), ((7, 5), 0.4), ((2, 3, 3, 3), 0.25), ((41, 500), 0.3)])
def test_targeted_weights_are_dropped_with_p_and_others_never(shape: Any, fraction: float, p: float) -> None:
    weight = 1 + torch.rand(shape)
    rows = weight.flatten(1)
    count = round(fraction * rows.shape[1])
    order = rows.argsort(1)
    calls = max(20_000 // weight.numel() // 10, 1)
    losses = torch.stack([(F.targeted_dropout(weight, p, fraction) == 0).flatten(1) for _ in range(calls)])
    lost = losses.sum(0).gather(1, order)
    assert not lost[:, count:].any()
    assert within_5_standard_errors(int(lost.sum()), len(rows) * count * calls, p)


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize(("shape", "fraction"), [((1, 4), 1.0), ((7, 5), 3 / 7), ((4001, 2, 3), 0.5)])
def test_targeted_units_are_dropped_whole_with_p_and_others_never(shape: Any, fraction: float, p: float) -> None:
    weight = 1 + torch.rand(shape)
    smallest = weight.flatten(1).norm(dim=1).argsort()[: round(fraction * shape[0])]
    calls = 200 if shape[0] < 10 else 1
    losses = torch.stack([(F.targeted_unit_dropout(weight, p, fraction) == 0).flatten(1) for _ in range(calls)])
    assert torch.equal(losses.any(2), losses.all(2)), "a unit was lost in part"
    lost = losses.any(2).sum(0)
    assert within_5_standard_errors(int(lost.sum()), len(smallest) * calls, p)
    assert lost[smallest].sum() == lost.sum()


def test_public_defect_a_unit_has_one_gate_and_not_one_for_each_of_its_weights() -> None:
    lost = F.targeted_unit_dropout(torch.ones(1000, 8), 0.5, 1.0) == 0
    assert torch.equal(lost.any(1), lost.all(1))


def test_public_defect_nothing_is_pruned_in_eval_mode_unless_asked() -> None:
    for kind in KINDS:
        layer = kind.on(nn.Linear(6, 4), "weight", p=1.0, fraction=0.5).eval()
        weight, x = layer.weight.detach().clone(), torch.randn(3, 6)
        assert torch.equal(layer(x), nn.functional.linear(x, weight, layer.bias))
        layer.targeted_dropout.prunes = True
        kept = layer.targeted_dropout.pruned(weight)
        assert int((kept == 0).sum()) == 12
        assert torch.equal(layer(x), nn.functional.linear(x, kept, layer.bias))
        assert torch.equal(layer.weight, weight)
        assert "weight" not in vars(layer)


def test_public_defect_all_weights_can_be_targeted_and_ties_do_not_change_how_many() -> None:
    assert not F.targeted_dropout(torch.rand(3, 4), 1.0, 1.0).any()
    assert not F.targeted_unit_dropout(torch.rand(3, 4), 1.0, 1.0).any()
    assert F.targeted_dropout(torch.ones(3, 10), 1.0, 0.3).sum(1).tolist() == [7, 7, 7]
    zeros = torch.cat([torch.zeros(3, 5), torch.ones(3, 5)], 1)
    assert F.targeted_dropout(zeros, 1.0, 0.3).equal(zeros)


@pytest.mark.parametrize("function", [F.targeted_dropout, F.targeted_unit_dropout])
def test_nothing_is_rescaled_and_lost_weights_alone_have_no_gradient(function: Any) -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        weight = torch.randn(16, 12).to(dtype).requires_grad_()
        made = function(weight, 0.5, 0.5)
        assert made.dtype == dtype
        lost = made == 0
        assert lost.any()
        assert torch.equal(made[~lost], weight[~lost])
        made.sum().backward()
        assert torch.equal(weight.grad, (~lost).to(dtype))


@pytest.mark.parametrize("function", [F.targeted_dropout, F.targeted_unit_dropout])
def test_at_0_it_is_the_identity_and_draws_nothing(function: Any) -> None:
    weight = torch.randn(4, 6)
    before = torch.get_rng_state()
    assert function(weight, 0.0, 0.5) is weight
    assert function(weight, torch.tensor(0.0), 0.5) is weight
    assert function(weight, 0.5, 0.0) is weight
    assert torch.equal(before, torch.get_rng_state())
    assert function(weight[:0], 0.5, 0.5).shape == (0, 6)
    assert function(weight[:, :0], 0.5, 0.5).shape == (4, 0)


def test_the_fraction_is_that_which_was_asked_for_in_float32_too() -> None:
    for n in (10, 100, 1000):
        for count in range(0, n + 1, n // 10):
            kept = F.targeted_dropout(torch.ones(1, n), 1.0, torch.tensor(count / n)).sum()
            assert kept == n - count


def model(p: Any = 0.5, fraction: Any = 0.5) -> Any:
    torch.manual_seed(1)
    first = ad.TargetedDropout.on(nn.Linear(6, 8), "weight", p=p, fraction=fraction)
    return nn.Sequential(first, nn.ReLU(), ad.TargetedUnitDropout.on(nn.Linear(8, 4), "weight", p=p, fraction=fraction))


def test_class_keys_and_parameters_stay_and_each_pass_has_a_mask() -> None:
    plain = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    network = model()
    assert [type(layer) for layer in network] == [type(layer) for layer in plain]
    plain.load_state_dict(network.state_dict())
    network.load_state_dict(plain.state_dict())
    x = torch.randn(5, 6)
    assert not torch.equal(network(x), network(x))
    assert torch.equal(network.eval()(x), plain(x))


def test_p_is_steered_and_the_fraction_is_left_to_the_user() -> None:
    network = model()
    names = ["0.targeted_dropout", "2.targeted_dropout"]
    assert list(ad.get_rates(network, ad.SettableRate)) == names
    assert ad.get_rates(network) == {name + end: 0.5 for name in names for end in ("", ".fraction")}
    network[0].targeted_dropout.fraction.p = 1.0
    network[0].targeted_dropout.p = 1.0
    assert torch.equal(network[0](torch.randn(2, 6)), network[0].bias.expand(2, 8))
    with pytest.raises(TypeError, match=r"rate '0.targeted_dropout.fraction' is written by the user alone"):
        ad.set_rates(network, {"0.targeted_dropout.fraction": 0.1})
    with pytest.raises(ValueError, match="p has to be between 0 and 1, but got"):
        network[0].targeted_dropout.fraction.p = 1.5


def test_a_ramp_as_published_moves_both_numbers() -> None:
    ramp = ad.LinearSchedule(0.0, 0.5, steps=40), ad.LinearSchedule(0.0, 0.8, steps=20)
    network = model(*ramp)
    for step, p, fraction in ((0, 0.0, 0.0), (10, 0.125, 0.4), (40, 0.5, 0.8)):
        ad.set_step(network, step)
        drop = network[2].targeted_dropout
        assert (drop.p, drop.fraction.p) == (pytest.approx(p), pytest.approx(fraction))


def test_a_fraction_may_be_steered_if_it_is_given_a_rate_of_its_own() -> None:
    layer = ad.TargetedDropout.on(nn.Linear(6, 8), "weight", fraction=ad.SettableRate(0.3))
    ad.set_rates(layer, {"targeted_dropout": 0.1, "targeted_dropout.fraction": 0.2})
    assert repr(layer.targeted_dropout) == "TargetedDropout(p=0.1, fraction=0.2)"


def test_a_copy_has_rates_of_its_own() -> None:
    network = model()
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        twin[0].targeted_dropout.p = twin[0].targeted_dropout.fraction.p = 0.0
        x = torch.randn(2, 6)
        assert torch.equal(twin[0](x), twin[0](x))
        assert (network[0].targeted_dropout.p, network[0].targeted_dropout.fraction.p) == (0.5, 0.5)


def test_what_trains_with_it_can_lose_the_targeted_weights() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 20)
    y = x[:, :4].sum(1, keepdim=True)
    losses = {}
    for p in (0.0, 0.9):
        layer = ad.TargetedDropout.on(nn.Linear(20, 1), "weight", p=p, fraction=0.8)
        optimizer = torch.optim.Adam(layer.parameters(), 0.05)
        for _ in range(150):
            optimizer.zero_grad()
            (layer(x) - y + 0.3 * torch.randn_like(y)).square().mean().backward()
            optimizer.step()
        with torch.no_grad():
            losses[p] = float((ad.prune(layer).eval()(x) - y).square().mean())
            assert int((layer.weight != 0).sum()) == 4
    assert losses[0.9] < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_changes_of_both_numbers_are_one_graph_with_the_masks_of_eager_code(kind: Any) -> None:
    layer, graphs, x = kind.on(nn.Linear(6, 8), "weight"), [], torch.randn(3, 6)
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True)
    for step in range(20):
        layer.targeted_dropout.p = layer.targeted_dropout.fraction.p = step / 20
        outputs = []
        for call in (compiled, layer):
            torch.manual_seed(step)
            outputs.append(call(x))
        assert torch.equal(*outputs)
    assert len(graphs) == 1


def test_vmap_draws_for_each_sample() -> None:
    weight = torch.randn(8, 6)

    def sample(_: Tensor) -> Tensor:
        return F.targeted_dropout(weight, 0.5, 0.5)

    first, second = torch.vmap(sample, randomness="different")(torch.zeros(2))
    assert not torch.equal(first, second)


def test_wrong_weights_and_numbers_are_told() -> None:
    with pytest.raises(ValueError, match=r"TargetedDropout takes weights \(units, ...\), but 'bias' has shape \(8,\)"):
        ad.TargetedDropout.on(nn.Linear(6, 8), "weight", "bias")
    with pytest.raises(KeyError, match="Linear has no parameter 'kernel' of its own"):
        ad.TargetedUnitDropout.on(nn.Linear(6, 8), "kernel")
    with pytest.raises(ValueError, match="fraction has to be between 0 and 1, but got"):
        ad.TargetedDropout.on(nn.Linear(6, 8), "weight", fraction=1.5)
    with pytest.raises(TypeError, match="fraction has to be a number between 0 and 1, but got 'half'"):
        ad.TargetedDropout(fraction="half")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="passes no gradient to a learned p"):
        ad.TargetedDropout(fraction=ad.LearnedRate(0.5))
    with pytest.raises(RuntimeError, match=r"takes weights \(units, ...\), but got shape \(3,\)"):
        F.targeted_dropout(torch.ones(3), 0.5, 0.5)
    with pytest.raises(RuntimeError, match="floating-point"):
        F.targeted_unit_dropout(torch.ones(3, 3, dtype=torch.int64), 0.5, 0.5)
    with pytest.raises(ValueError, match="passes no gradient to their fraction"):
        F.targeted_dropout(torch.ones(3, 3), 0.5, torch.tensor(0.5, requires_grad=True))
    with pytest.raises(ValueError, match="has to be between 0 and 1, but got -0"):
        F.targeted_dropout(torch.ones(3, 3), 0.5, -0.5)
