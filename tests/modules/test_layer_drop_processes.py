"""`LayerDrop` in two data-parallel processes that skip different layers, beside a list that just leaves them out."""

from __future__ import annotations

import pytest

from tests.pairs import run_pair

pytestmark = pytest.mark.slow

SCRIPT = """
import json
import sys

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

import adaptive_dropout as ad

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)


class LeftOut(nn.ModuleList):
    def forward(self, x):
        for layer in self:
            x = layer(x) if torch.rand(()) > 0.5 else x
        return x


def network(blocks):
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(6)]
    return nn.Sequential(nn.Linear(4, 4), blocks(layers), nn.Linear(4, 1))


def train(model, steps):
    optimizer = torch.optim.AdamW(model.parameters())
    for step in range(steps):
        torch.manual_seed(10 * step + rank)  # each process skips its own layers
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()


def check_mean(model, step):
    # The gradient of the processes together is the mean of those that each has alone.
    torch.manual_seed(10 * step + rank)
    x = torch.randn(8, 4)
    state = torch.get_rng_state()
    model.zero_grad()
    model.module(x).square().mean().backward()
    alone = [p.grad.clone() for p in model.parameters()]
    skipped = sum(not p.grad.any() for p in model.module[1].parameters())
    for gradient in alone:
        distributed.all_reduce(gradient)
    torch.set_rng_state(state)
    model.zero_grad()
    model(x).square().mean().backward()
    return skipped, all(torch.allclose(p.grad, g / 2) for p, g in zip(model.parameters(), alone))


told = {}
for static in (False, True):
    model = DistributedDataParallel(network(lambda layers: ad.LayerDrop(layers, 0.5)), static_graph=static)
    train(model, 10)
    told[f"weights, {static}"] = [p.sum().item() for p in model.parameters()]
    checks = [] if static else [check_mean(model, step) for step in range(10)]
    told[f"means, {static}"] = all(same for _, same in checks)
    told[f"skipped, {static}"] = [skipped for skipped, _ in checks]
try:
    train(DistributedDataParallel(network(LeftOut)), 10)
    told["left out"] = "no error"
except RuntimeError as error:
    told["left out"] = str(error)
with open(f"{folder}/rank{rank}.json", "w") as file:
    json.dump(told, file)
distributed.barrier()
distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What each of the two processes saw."""
    return run_pair(SCRIPT, tmp_path_factory.mktemp("pair"))


def test_processes_that_skip_different_layers_train_one_model(told: list[dict[str, object]]) -> None:
    first, second = told
    for static in (False, True):
        assert first[f"weights, {static}"] == second[f"weights, {static}"]
    assert first["skipped, False"] != second["skipped, False"]


def test_the_gradient_is_the_mean_of_the_processes(told: list[dict[str, object]]) -> None:
    assert all(each["means, False"] for each in told)


def test_a_layer_that_is_left_out_stops_data_parallel_training(told: list[dict[str, object]]) -> None:
    # fairseq's list does this, and asks for find_unused_parameters=True.
    assert any("find_unused_parameters" in str(each["left out"]) for each in told)
