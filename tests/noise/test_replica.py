"""Processes seeded alike draw equal masks; replicas, if they are numbered, draw masks of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor

import adaptive_dropout as ad
from adaptive_dropout.functional import dropout
from adaptive_dropout.noise import backend
from adaptive_dropout.noise.keys import draw_common_key, draw_key
from adaptive_dropout.noise.replica import of_replica
from adaptive_dropout.noise.settings import as_key


@pytest.fixture(autouse=True)
def _first_replica() -> Iterator[None]:
    yield
    ad.set_replica(0)


def drawn(replica: int, call: Any = None) -> Tensor:
    """What a process of this replica drops, from the one seed."""
    ad.set_replica(replica)
    torch.manual_seed(1)
    return (call or dropout)(torch.ones(3000), 0.5) == 0


def agreement(one: Tensor, other: Tensor) -> float:
    return (one == other).double().mean().item()


def test_by_default_all_are_replica_0_and_draw_alike() -> None:
    assert ad.get_replica() == 0
    torch.manual_seed(1)
    assert torch.equal(dropout(torch.ones(3000), 0.5) == 0, drawn(0))


def test_replicas_draw_independent_masks_from_one_seed() -> None:
    masks = [drawn(replica) for replica in (0, 1, 2, 3, 2**32 - 1)]
    for one in range(len(masks)):
        for other in range(one):
            assert abs(agreement(masks[one], masks[other]) - 0.5) < 5 * 0.5 / 3000**0.5


def test_processes_of_one_replica_draw_alike() -> None:
    assert torch.equal(drawn(3), drawn(3))
    assert ad.get_replica() == 3


def test_what_torch_draws_itself_stays_equal() -> None:
    states = []
    for replica in (0, 1):
        drawn(replica)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def test_no_two_replicas_have_one_key() -> None:
    keys = set()
    for replica in range(10_000):
        ad.set_replica(replica)
        keys.add(of_replica(12345))
    assert len(keys) == 10_000
    assert -(2**63) <= min(keys) < max(keys) < 2**63


def test_a_key_is_the_same_as_a_number_and_as_a_tensor() -> None:
    for replica in (1, 2, 77):
        ad.set_replica(replica)
        assert of_replica(torch.tensor(12345)).item() == of_replica(12345)


def test_what_replicas_decide_alike_has_a_key_in_common() -> None:
    keys = set()
    for replica in (0, 1, 2):
        ad.set_replica(replica)
        torch.manual_seed(1)
        keys.add(draw_common_key(torch.ones(1)))
    torch.manual_seed(1)
    ad.set_replica(0)
    assert keys == {draw_key(torch.ones(1))}


def test_where_there_are_no_kernels_replicas_differ_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with_kernels = drawn(5)
    monkeypatch.setattr(backend.KERNELS["cpu"], "failed", True, raising=False)
    assert torch.equal(drawn(5), with_kernels)


def test_vmapped_replicas_differ() -> None:
    def call(x: Tensor, p: float) -> Tensor:
        return torch.vmap(lambda x: dropout(x, p), randomness="different")(x.view(3, 1000)).flatten()

    assert abs(agreement(drawn(0, call), drawn(1, call)) - 0.5) < 5 * 0.5 / 3000**0.5


def test_compiled_code_follows_the_number_without_a_new_graph() -> None:
    graphs = []

    def count(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    def key(x: Tensor) -> Tensor:
        return as_key(x, draw_key(x))

    torch._dynamo.reset()
    compiled, x = torch.compile(key, backend=count, fullgraph=True), torch.ones(1)
    for replica in (0, 1, 2):
        ad.set_replica(replica)
        torch.manual_seed(1)
        eager = key(x)
        torch.manual_seed(1)
        assert compiled(x) == eager
    assert len(graphs) == 1


def test_a_key_that_is_given_is_used_as_it_is() -> None:
    expected = dropout(torch.ones(3000), 0.5, key=4)
    ad.set_replica(1)
    assert torch.equal(dropout(torch.ones(3000), 0.5, key=4), expected)


@pytest.mark.parametrize("number", [True, 1.0, "0", None])
def test_what_is_no_number_is_refused(number: Any) -> None:
    with pytest.raises(TypeError, match="a replica has to be a whole number, but got"):
        ad.set_replica(number)


@pytest.mark.parametrize("number", [-1, 2**32])
def test_a_number_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=rf"from 0 to 2\^32 - 1, but got {number}"):
        ad.set_replica(number)


def work(rank: int, folder: str) -> None:
    """One of two processes, seeded alike: draws with the default, as a replica of its own, and as all one replica."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    both = []
    for replica in (None, dist.get_rank(), 0):
        if replica is not None:
            ad.set_replica(replica)
        torch.manual_seed(1)
        mine = dropout(torch.ones(3000), 0.5)
        gathered = [torch.empty_like(mine) for _ in range(2)]
        dist.all_gather(gathered, mine)
        both.append(agreement(*(mask == 0 for mask in gathered)))
    key = torch.tensor(draw_key(torch.ones(1)))
    dist.all_reduce(key, dist.ReduceOp.BXOR)
    if rank == 0:
        torch.save([*both, key.item()], Path(folder) / "agreement.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_draw_alike_by_default_and_apart_as_replicas(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(work, (str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    by_default, apart, alike, key = torch.load(tmp_path / "agreement.pt")
    assert by_default == alike == 1.0
    assert abs(apart - 0.5) < 5 * 0.5 / 3000**0.5
    assert key == 0
