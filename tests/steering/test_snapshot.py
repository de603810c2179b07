from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad

Optimizers = Callable[[Any], torch.optim.Optimizer]

OPTIMIZERS: dict[str, Optimizers] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "SGD with momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "AMSGrad": lambda p: torch.optim.AdamW(p, lr=0.1, amsgrad=True),
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3),
}


@pytest.fixture(params=["memory", "folder"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "best" if request.param == "folder" else None


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), ad.Dropout(0.3), ad.ConcreteDropout(0.2), nn.Linear(8, 1))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, seed: int) -> list[Tensor]:
    """Train on data and noise that the seed fixes; return all weights and buffers after each step."""
    torch.manual_seed(seed)
    trajectory = []
    for _ in range(steps):
        x = torch.randn(16, 4)

        def loss(x: Tensor = x) -> Tensor:
            optimizer.zero_grad()
            error = (model(x) - x.sum(1, keepdim=True)).square().mean()
            error.backward()
            return error.detach()

        optimizer.step(loss)
        trajectory.append(torch.cat([t.detach().double().flatten() for t in (*model.parameters(), *model.buffers())]))
    return trajectory


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("steps_before", [0, 4])
def test_training_after_a_rewind_is_bit_for_bit_what_it_was(name: str, steps_before: int, folder: Path | None) -> None:
    model = network()
    optimizer = OPTIMIZERS[name](model.parameters())
    train(model, optimizer, steps_before, seed=1)
    best = ad.Snapshot(model, optimizer, folder=folder)
    best.take()
    expected = train(model, optimizer, 5, seed=2)
    for detour in (1, 7):
        train(model, optimizer, detour, seed=3)
        best.restore()
        assert same(train(model, optimizer, 5, seed=2), expected)


def test_without_its_optimizer_training_would_go_elsewhere() -> None:
    model = network()
    optimizer = OPTIMIZERS["Adam"](model.parameters())
    train(model, optimizer, 4, seed=1)
    weights_only = ad.Snapshot(model)
    weights_only.take()
    expected = train(model, optimizer, 5, seed=2)
    weights_only.restore()
    assert not same(train(model, optimizer, 5, seed=2), expected)


def test_a_snapshot_from_before_the_first_step_gives_a_fresh_optimizer_back() -> None:
    model = network()
    optimizer = OPTIMIZERS["Adam"](model.parameters())
    start = ad.Snapshot(model, optimizer)
    start.take()
    train(model, optimizer, 3, seed=1)
    start.restore()
    assert optimizer.state_dict()["state"] == {}


def test_the_last_take_counts_and_allocates_nothing() -> None:
    model = network()
    optimizer = OPTIMIZERS["Adam"](model.parameters())
    best = ad.Snapshot(model, optimizer)
    places, values = [], []
    for seed in (1, 2):
        train(model, optimizer, 1, seed)
        best.take()
        kept = best.state_dict()
        tensors = [*kept["tensors"].values(), *(t for s in kept["optimizers"][0]["state"].values() for t in s.values())]
        places.append([t.data_ptr() for t in tensors])
        values.append(torch.cat([t.double().flatten() for t in tensors]))
    assert len(places[0]) == 10 + 3 * 7  # tensors of the model, and three in Adam's state for each parameter
    assert places[0] == places[1]
    assert not torch.equal(*values)
    weight = model[0].weight.detach().clone()
    train(model, optimizer, 1, seed=3)
    best.restore()
    assert torch.equal(model[0].weight, weight)


def test_batch_norm_statistics_come_back() -> None:
    model = network()
    best = ad.Snapshot(model)
    model(torch.randn(16, 4))
    best.take()
    mean = model[1].running_mean.clone()
    model(torch.randn(16, 4) + 5)
    best.restore()
    assert torch.equal(model[1].running_mean, mean)
    assert model[1].num_batches_tracked == 1


def test_learned_rates_come_back_and_all_others_stay_where_they_are() -> None:
    schedule = ad.LinearSchedule(0.5, 0.0, steps=10)
    model = nn.ModuleList([ad.Dropout(0.3), ad.Dropout(schedule), ad.ConcreteDropout(0.2)])
    best = ad.Snapshot(model)
    best.take()
    ad.set_rates(model, {"0": 0.7})
    ad.set_step(model, 4)
    nn.init.zeros_(model[2].rate.logit)
    best.restore()
    assert ad.get_rates(model) == pytest.approx({"0": 0.7, "1": 0.3, "2": 0.2})
    assert [layer.rate.value.item() for layer in model] == pytest.approx([0.7, 0.3, 0.2])


def test_a_rewind_replaces_no_object(folder: Path | None) -> None:
    model = network()
    optimizer = OPTIMIZERS["Adam"](model.parameters())
    best = ad.Snapshot(model, optimizer, folder=folder)
    train(model, optimizer, 1, seed=1)
    best.take()
    train(model, optimizer, 1, seed=2)

    def objects() -> list[tuple[int, int]]:
        moments = [t for state in optimizer.state.values() for t in state.values()]
        return [(id(t), t.data_ptr()) for t in (*model.parameters(), *model.buffers(), *moments)]

    before, groups, gradient = objects(), optimizer.param_groups[0], model[0].weight.grad.clone()
    best.restore()
    assert objects() == before
    assert optimizer.param_groups[0] is groups
    assert torch.equal(model[0].weight.grad, gradient)


def test_a_compiled_model_sees_the_rewind_without_recompiling() -> None:
    graphs: list[torch.fx.GraphModule] = []
    model = nn.Linear(4, 1)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend=lambda graph, _: graphs.append(graph) or graph)
    best = ad.Snapshot(compiled)
    x = torch.randn(3, 4)
    expected = compiled(x)
    best.take()
    nn.init.zeros_(model.weight)
    assert not torch.equal(compiled(x), expected)
    best.restore()
    assert torch.equal(compiled(x), expected)
    assert len(graphs) == 1


def test_the_learning_rate_stays_where_its_schedule_is() -> None:
    model = network()
    optimizer = OPTIMIZERS["SGD with momentum"](model.parameters())
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    best = ad.Snapshot(model, optimizer)
    best.take()
    train(model, optimizer, 1, seed=1)
    schedule.step()
    best.restore()
    assert optimizer.param_groups[0]["lr"] == 0.05
    train(model, optimizer, 1, seed=2)
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.025


class Odd(nn.Module):
    """Tied, frozen, 0-dim, empty, expanded, shared, half-precision and absent tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.frozen = nn.Parameter(torch.randn(2), requires_grad=False)
        self.scale = nn.Parameter(torch.tensor(2.0, dtype=torch.bfloat16))
        self.nothing = nn.Parameter(torch.empty(0, 3))
        self.register_buffer("positions", torch.arange(3).expand(4, 3), persistent=False)
        self.register_buffer("mean", torch.randn(2, dtype=torch.complex64))
        self.register_buffer("same_mean", self.mean)
        self.register_buffer("absent", None)


def test_every_tensor_is_kept_once_and_comes_back(folder: Path | None) -> None:
    model = Odd()
    best = ad.Snapshot(model, folder=folder)
    best.take()
    assert set(best.state_dict()["tensors"]) == {"embedding.weight", "frozen", "scale", "nothing", "positions", "mean"}
    expected = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in (*model.parameters(), model.positions[0], model.mean):
            tensor.add_(1)
    best.restore()
    for tensor, before in zip(
        (*model.parameters(), *model.buffers()), (*expected.parameters(), *expected.buffers()), strict=True
    ):
        assert torch.equal(tensor, before)
        assert tensor.dtype == before.dtype
    assert model.head.weight is model.embedding.weight
    assert not model.frozen.requires_grad


def test_metrics_count_on() -> None:
    metrics = pytest.importorskip("torchmetrics")
    model = nn.ModuleDict({"fc": nn.Linear(2, 2), "mean": metrics.MeanMetric()})
    best = ad.Snapshot(model)
    best.take()
    model["mean"].update(3.0)
    best.restore()
    assert model["mean"].compute() == 3.0


def test_in_inference_mode_it_leaves_tensors_that_training_can_write_to() -> None:
    model = network()
    optimizer = OPTIMIZERS["Adam"](model.parameters())
    best = ad.Snapshot(model, optimizer)
    train(model, optimizer, 1, seed=1)
    with torch.inference_mode():
        best.take()
    expected = train(model, optimizer, 2, seed=2)
    optimizer.state.clear()
    with torch.inference_mode():
        best.restore()
    assert same(train(model, optimizer, 2, seed=2), expected)
    best.take()


def test_what_an_optimizer_trains_besides_the_model_comes_back_too() -> None:
    model, outside = nn.Linear(2, 1), nn.Parameter(torch.ones(3))
    best = ad.Snapshot(model, torch.optim.SGD([*model.parameters(), outside]))
    best.take()
    nn.init.zeros_(outside)
    best.restore()
    assert torch.equal(outside, torch.ones(3))
