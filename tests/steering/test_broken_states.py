"""Checkpoints and snapshots that hold something else: refused in one line, or the memory begins anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.controllers import state_from_dict, state_to_dict
from adaptive_dropout.steering import ControlLoop, Snapshot
from adaptive_dropout.tracking import History


def loop(warned: list[str]) -> ControlLoop:
    return ControlLoop(ad.RestartController(), nn.Sequential(nn.Linear(2, 2), ad.Dropout(0.3)), warn=warned.append)


CHANGED = ({"run": None}, {"run": {}}, {"snapshots": {"due": "never"}}, {"snapshots": {"due": None}}, {"state": 3})


@pytest.mark.parametrize("changed", CHANGED, ids=str)
def test_a_checkpoint_that_holds_something_else_is_one_line(changed: dict[str, Any]) -> None:
    own = loop([])
    with pytest.raises(ValueError, match=r"^the .*$"):
        loop([]).load_state_dict(own.state_dict() | changed)


@pytest.mark.parametrize(
    ("early", "message"),
    [
        ({"class_path": "x"}, "^a decision has no 'class_path'$"),
        ({1: True}, "^a decision has no 1$"),
        ({"step": 5}, "^a decision has no 'step'$"),
        ({"forgot": "yes"}, r"^the checkpoint does not hold .*forgot has to be a bool, but got 'yes'\)$"),
        ([3], "^a decision has no 3$"),
        (["forgot"], "^the checkpoint does not hold what a control saves"),
    ],
)
def test_of_the_next_decision_only_what_is_known_before_it_is_read(early: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loop([]).load_state_dict(loop([]).state_dict() | {"next": early})


def test_a_missing_part_is_named() -> None:
    saved = loop([]).state_dict()
    del saved["run"]
    with pytest.raises(ValueError, match=r"does not hold what a control saves \(KeyError: 'run'\)"):
        loop([]).load_state_dict(saved)


@pytest.mark.parametrize("best", ["low", [1.0], True], ids=repr)
def test_a_memory_of_other_kinds_begins_anew(best: object) -> None:
    warned: list[str] = []
    own, other = loop([]), loop(warned)
    saved = own.state_dict()
    other.load_state_dict(saved | {"state": saved["state"] | {"best": best}})
    assert "memory begins anew (state.best has to be like 0.0, but got" in warned[0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reason": 3}, r"state\.reason has to be like '', but got 3"),
        ({"recent": [1.0, None]}, r"state\.recent\[1\] has to be like 0\.0, but got None"),
        ({"recent": 5}, r"state\.recent has to be like"),
        ({"age": True}, r"state\.age has to be like 0, but got True"),
        ({"best": 1e200}, r"state\.best has to be at most 1e\+100"),
        ({"best_rates": {}}, r"state\.best_rates lacks \['fc'\]"),
    ],
)
def test_each_number_of_a_stored_state_is_checked(changed: dict[str, Any], message: str) -> None:
    controller = ad.RewindController()
    stored = state_to_dict(controller.init({"fc": 0.3})) | changed
    with pytest.raises((TypeError, ValueError, KeyError), match=message):
        state_from_dict(controller, stored)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02c"])
def test_a_broken_snapshot_is_one_line(content: bytes, tmp_path: Path) -> None:
    snapshot = Snapshot(nn.Linear(2, 2), folder=tmp_path)
    snapshot.take()
    (tmp_path / "snapshot.pt").write_bytes(content)
    with pytest.raises(RuntimeError, match=r"snapshot\.pt is not the snapshot that was written there \(.+\)$") as told:
        snapshot.restore()
    assert "\n" not in str(told.value)


def trained(optimizer_of: Any = torch.optim.Adam) -> tuple[nn.Linear, torch.optim.Optimizer]:
    model = nn.Linear(2, 2)
    optimizer = optimizer_of(model.parameters(), lr=0.1)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step(lambda: 1.0)
    return model, optimizer


def put(state: dict[str, Any], place: tuple[Any, ...], value: object) -> dict[str, Any]:
    """Return ``state`` with ``value`` at ``place``; all else is shared."""
    first, *rest = place
    copy: Any = list(state) if isinstance(state, list) else dict(state)
    copy[first] = put(copy[first], tuple(rest), value) if rest else value
    return copy


OF_OTHER_KINDS = [
    ((0, "exp_avg"), "x", r"'exp_avg' of 'weight' in optimizer 0 has to be a tensor of shape \[2, 2\], but is 'x'"),
    ((0, "exp_avg"), torch.zeros(3), r"but is a tensor of shape \[3\] in the snapshot"),
    ((0, "exp_avg_sq"), 0, "but is 0 in the snapshot"),
    ((1, "step"), [], "'step' of 'bias' in optimizer 0 has to be a number or tensor, but is a list in the snapshot"),
    ((0,), torch.zeros(2), "optimizer 0 has no state of 'weight' in the snapshot; it is broken"),
]


@pytest.mark.parametrize(("place", "value", "message"), OF_OTHER_KINDS)
def test_an_optimizer_state_of_another_kind_is_refused_when_it_is_read(
    place: tuple[Any, ...], value: object, message: str, tmp_path: Path
) -> None:
    model, optimizer = trained()
    for folder in (None, tmp_path):
        snapshot = Snapshot(model, optimizer, folder=folder)
        snapshot.take()
        broken = put(snapshot.state_dict(), ("optimizers", 0, "state", *place), value)
        with pytest.raises(ValueError, match=message):
            snapshot.load_state_dict(broken)
        snapshot.restore()
    file = tmp_path / "snapshot.pt"
    torch.save(put(torch.load(file, weights_only=True), ("optimizers", 0, "state", *place), value), file)
    weight = nn.init.ones_(model.weight).clone()
    with pytest.raises(RuntimeError, match=r"snapshot\.pt is not the snapshot .* \(values of other kinds\)"):
        snapshot.restore()
    assert torch.equal(model.weight, weight)
    optimizer.step()


def test_an_optimizer_state_of_an_earlier_step_is_not_refused() -> None:
    model, optimizer = trained(torch.optim.LBFGS)  # has numbers first that are tensors later, and None
    first = Snapshot(model, optimizer)
    first.take()
    optimizer.state[model.weight] |= {"H_diag": torch.ones(()), "prev_loss": torch.ones(()), "d": torch.ones(9)}
    Snapshot(model, optimizer).load_state_dict(first.state_dict())


def test_a_snapshot_of_another_form_changes_nothing() -> None:
    model = nn.Linear(2, 2)
    snapshot = Snapshot(model)
    with pytest.raises(ValueError, match="does not hold tensors and the states of optimizers"):
        snapshot.load_state_dict({"tensors": {"weight": 3, "bias": torch.zeros(2)}, "optimizers": []})
    assert not snapshot.taken


def test_a_history_without_points_is_refused() -> None:
    with pytest.raises(TypeError, match="the points of a history have to be a list, but got None"):
        History().load_state_dict({})


def test_a_long_text_where_a_number_belongs_is_cut() -> None:
    with pytest.raises(TypeError, match="step has to be a whole number, but got 'xxx") as refused:
        History().load_state_dict({"points": [{"step": "x" * 10_000, "rates": {"a": 0.1}}]})
    assert len(str(refused.value)) < 300
