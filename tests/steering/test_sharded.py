"""Models that torch's FSDP2 shards over two processes: rates, snapshots and rewinds; and inputs that are sharded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pairs import run_pair

pytestmark = pytest.mark.slow

SCRIPT = """
import json
import sys

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

import adaptive_dropout as ad
from adaptive_dropout.steering import ControlLoop

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
mesh = init_device_mesh("cpu", (2,))


def told_by(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def sharded():
    torch.manual_seed(0)
    return fully_shard(nn.Sequential(nn.Linear(8, 8), ad.Dropout(0.3), nn.Linear(8, 1)), mesh=mesh)


def weights(model, optimizer):
    moments = [optimizer.state[weight]["exp_avg"] for weight in model.parameters()]
    return [tensor.full_tensor().clone() for tensor in (*model.parameters(), *moments)]


def rewound(kept_in):
    model = sharded()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    loop = ControlLoop(ad.RewindController(), model, optimizer, folder=kept_in)

    def steps():
        for _ in range(3):
            loop.before_step()
            optimizer.zero_grad()
            model(torch.randn(4, 8)).square().mean().backward()
            optimizer.step()

    steps()
    loop.decide({"step": 3, "total_steps": 9, "train_loss": 1.0, "val_loss": 1.0, "clean_loss": 1.0, "gap_z": 0.0})
    best = weights(model, optimizer)
    steps()
    moved = not torch.equal(best[0], weights(model, optimizer)[0])
    loop.finish()
    back = all(map(torch.equal, best, weights(model, optimizer)))
    steps()
    return moved and back


model, dropped = sharded(), []
model[1].register_forward_hook(lambda layer, inputs, output: dropped.append(bool((output == 0).all())))
for p in (0.3, 1.0):
    ad.set_rates(model, {"1": p})
    model(torch.randn(4, 8))
told = {
    "dropped": dropped,
    "rewound": rewound(None),
    "rewound from files": rewound(f"{folder}/{rank}"),
    "learned": told_by(lambda: fully_shard(nn.Sequential(nn.Linear(2, 2), ad.ConcreteDropout()), mesh=mesh)),
}
for place in (Replicate(), Shard(0)):
    x = distribute_tensor(torch.ones(4, 8), mesh, [place])
    for kind in (ad.Dropout, ad.GaussianDropout, ad.DropPath):
        told[f"input of {kind.__name__}, {place}"] = told_by(lambda: kind(0.5)(x))
with open(f"{folder}/rank{rank}.json", "w") as file:
    json.dump(told, file)
distributed.barrier()
distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the two processes saw."""
    return run_pair(SCRIPT, tmp_path_factory.mktemp("pair"))


def test_rates_are_set_in_a_sharded_model(told: list[dict[str, Any]]) -> None:
    assert [each["dropped"] for each in told] == [[False, True]] * 2


def test_a_loop_of_your_own_rewinds_a_sharded_model(told: list[dict[str, Any]]) -> None:
    assert all(each["rewound"] and each["rewound from files"] for each in told)


def test_torch_itself_refuses_to_shard_a_learned_rate(told: list[dict[str, Any]]) -> None:
    assert all("doesn't support scalar parameters" in each["learned"] for each in told)


def test_a_sharded_input_is_refused_in_one_line(told: list[dict[str, Any]]) -> None:
    for each in told:
        refusals = {name: line for name, line in each.items() if name.startswith("input of")}
        assert len(refusals) == 6
        assert all(line.startswith("TypeError: x is a DTensor, and noise is drawn") for line in refusals.values())
