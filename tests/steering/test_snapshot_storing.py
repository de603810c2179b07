"""What a snapshot survives: a restart, a kill, a changed model, misuse."""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from tests.steering.test_snapshot import OPTIMIZERS, network, same, train


def taken(folder: Path | None = None) -> tuple[nn.Sequential, torch.optim.Optimizer, ad.Snapshot]:
    model = network()
    optimizer = OPTIMIZERS["Adam"](model.parameters())
    train(model, optimizer, 2, seed=1)
    best = ad.Snapshot(model, optimizer, folder=folder)
    best.take()
    return model, optimizer, best


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("places", [("before", "after"), (None, "after"), ("before", None), (None, None)], ids=str)
@pytest.mark.parametrize("has_state", [True, False])
def test_a_run_that_was_killed_rewinds_to_the_same_weights(
    name: str, places: tuple[str | None, str | None], has_state: bool, tmp_path: Path
) -> None:
    before, after = (None if place is None else tmp_path / place for place in places)
    model = network()
    optimizer = OPTIMIZERS[name](model.parameters())
    train(model, optimizer, 3, seed=1)
    best = ad.Snapshot(model, optimizer, folder=before)
    best.take()
    expected = train(model, optimizer, 4, seed=2)
    torch.save({"best": best.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "checkpoint")
    best.take()

    model = network()
    optimizer = OPTIMIZERS[name](model.parameters())
    checkpoint = torch.load(tmp_path / "checkpoint", weights_only=True)
    if has_state:
        optimizer.load_state_dict(checkpoint["optimizer"])
    resumed = ad.Snapshot(model, optimizer, folder=after)
    resumed.load_state_dict(checkpoint["best"])
    assert resumed.taken
    resumed.restore()
    assert same(train(model, optimizer, 4, seed=2), expected)


def test_a_loaded_state_is_not_written_over_by_the_next_take() -> None:
    model, optimizer, best = taken()
    state = {"best": best.state_dict()}
    twin = ad.Snapshot(model, optimizer)
    twin.load_state_dict(state["best"])
    weight = state["best"]["tensors"]["0.weight"].clone()
    train(model, optimizer, 1, seed=2)
    twin.take()
    assert torch.equal(state["best"]["tensors"]["0.weight"], weight)


def test_nothing_taken_is_stored_as_nothing(tmp_path: Path) -> None:
    model, optimizer, best = taken()
    empty = ad.Snapshot(model, optimizer, folder=tmp_path)
    assert empty.state_dict() == {}
    best.load_state_dict(empty.state_dict())
    assert not best.taken


def test_restore_before_take_says_what_to_do(tmp_path: Path) -> None:
    taken(tmp_path)
    for folder in (None, tmp_path):  # a file of an earlier run does not count
        best = ad.Snapshot(nn.Linear(2, 1), folder=folder)
        assert not best.taken
        with pytest.raises(RuntimeError, match=r"no complete snapshot to restore; call take\(\) first"):
            best.restore()


def test_with_a_folder_the_file_has_it_all_and_nothing_else_lies_there(tmp_path: Path) -> None:
    model, optimizer, best = taken(tmp_path / "new" / "folder")
    best.take()
    assert [file.name for file in tmp_path.rglob("*.*")] == ["snapshot.pt"]
    other = ad.Snapshot(model, optimizer)
    other.take()
    for place, tensor in other.state_dict()["tensors"].items():
        assert torch.equal(best.state_dict()["tensors"][place], tensor)


def test_a_save_that_dies_half_way_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimizer, best = taken(tmp_path)
    file = tmp_path / "snapshot.pt"
    old = file.read_bytes()
    expected = train(model, optimizer, 2, seed=2)

    def half(state: Any, place: Path) -> None:
        Path(place).write_bytes(old[: len(old) // 2])
        assert file.read_bytes() == old
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        best.take()
    assert [path.name for path in tmp_path.glob("*.pt*")] == ["snapshot.pt"]
    best.restore()
    assert same(train(model, optimizer, 2, seed=2), expected)


def test_a_full_disk_is_told_in_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    model, optimizer, best = taken(tmp_path)
    expected = train(model, optimizer, 2, seed=2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # bytes, less than a snapshot has
    try:
        with pytest.raises(OSError, match=r"no snapshot written to '.*snapshot.pt' \(.*\); free space, or") as told:
            best.take()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(told.value)
    assert [path.name for path in tmp_path.glob("*.pt*")] == ["snapshot.pt"]
    best.restore()
    assert same(train(model, optimizer, 2, seed=2), expected)


def test_a_take_in_memory_that_was_cut_off_is_not_restored() -> None:
    model, optimizer, best = taken()
    optimizer.state[model[4].bias]["odd"] = object()
    with pytest.raises(TypeError, match="only tensors, numbers, strings, None, dicts, lists and tuples are copied"):
        best.take()
    assert not best.taken
    with pytest.raises(RuntimeError, match="no complete snapshot"):
        best.restore()


def test_two_snapshots_in_one_folder_are_not_mixed_up(tmp_path: Path) -> None:
    model, optimizer, best = taken(tmp_path)
    ad.Snapshot(model, optimizer, folder=tmp_path).take()
    with pytest.raises(RuntimeError, match=r"was written by another snapshot since; give each a folder of its own"):
        best.restore()


CHANGES = {
    "'0.weight' has shape [8, 4] in the snapshot, but [9, 4] in the model": lambda model: setattr(
        model[0], "weight", nn.Parameter(torch.zeros(9, 4))
    ),
    "'extra' has shape none in the snapshot, but [2] in the model": lambda model: model.register_parameter(
        "extra", nn.Parameter(torch.zeros(2))
    ),
    "'1.running_mean' has shape [8] in the snapshot, but none in the model": lambda model: setattr(
        model[1], "running_mean", None
    ),
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_changed_model_is_named_and_left_as_it_is(message: str) -> None:
    model, _, best = taken()
    best = ad.Snapshot(model)
    best.take()
    nn.init.zeros_(model[4].weight)
    CHANGES[message](model)
    with pytest.raises(ValueError, match=re.escape(message)):
        best.restore()
    assert not model[4].weight.any()


def test_other_optimizers_are_refused_when_loaded() -> None:
    model, _, best = taken()
    backwards = torch.optim.Adam(reversed(list(model.parameters())))
    for optimizers, message in [((), "of 1 optimizers, but here are 0"), ((backwards,), "optimizer 0 has other param")]:
        other = ad.Snapshot(model, *optimizers)
        with pytest.raises(ValueError, match=message):
            other.load_state_dict(best.state_dict())
        assert not other.taken


def test_a_group_added_since_starts_afresh() -> None:
    model = network()
    optimizer = torch.optim.Adam(model[4].parameters(), lr=0.1)
    train(model, optimizer, 1, seed=1)
    best = ad.Snapshot(model, optimizer)
    best.take()
    optimizer.add_param_group({"params": list(model[0].parameters())})
    train(model, optimizer, 1, seed=2)
    best.restore()
    assert set(optimizer.state) == set(model[4].parameters())
    assert [optimizer.state[p]["step"].item() for p in model[4].parameters()] == [1, 1]


def test_each_of_several_optimizers_gets_its_own_state_back() -> None:
    model = network()
    first, second = torch.optim.Adam(model[0].parameters()), torch.optim.Adam(model[4].parameters())
    best = ad.Snapshot(model, first, second)
    train(model, first, 1, seed=1)
    best.take()
    train(model, first, 1, seed=2)
    train(model, second, 1, seed=3)
    best.restore()
    assert [state["step"].item() for state in first.state.values()] == [1, 1]
    assert not second.state


def test_state_under_a_name_is_kept_and_that_of_a_parameter_trained_no_longer_is_not() -> None:
    _, optimizer, best = taken()
    optimizer.state["shared"] = {"n": 1}
    dropped = optimizer.param_groups[0]["params"].pop()
    best.take()
    assert list(best.state_dict()["optimizers"][0]["state"]) == [0, 1, 2, 3, 4, 5, "shared"]
    optimizer.state["shared"] = {"n": 2}
    best.restore()
    assert optimizer.state["shared"] == {"n": 1}
    assert dropped not in optimizer.state
