"""States and controllers as dictionaries, and what a file cannot make the library do."""

from __future__ import annotations

import importlib
import json
import math
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import adaptive_dropout as ad
from adaptive_dropout.controllers import (
    Controller,
    FixedController,
    controller_from_dict,
    controller_to_dict,
    state_from_dict,
    state_to_dict,
)
from tests.controllers.test_every_rule import Memory


@dataclass(frozen=True)
class Noted(FixedController):
    """A user's rule with a setting that JSON cannot hold."""

    controller: Controller
    note: float


def test_storing_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(ValueError, match=r"history\[0\]\[1\] has to be finite"):
        state_to_dict(Memory({"fc": 0.5}, history=((0.1, math.inf),)))
    with pytest.raises(TypeError, match="inner has to be of a JSON type"):
        state_to_dict(Memory({"fc": 0.5}, inner={1, 2}))  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [None, [], {}, {"rates": 0.5}])
def test_storing_refuses_what_is_not_a_state(data: Any) -> None:
    with pytest.raises(TypeError, match="a stored state has to be a mapping with a mapping 'rates'"):
        state_from_dict(FixedController(), data)


@pytest.mark.parametrize(
    "controller",
    [
        ad.RewindController(),
        ad.RewindController(ad.HypergradientController()),
        ad.Clip(ad.PlateauController(patience=3, min_delta=1e-4), high=0.45),
        ad.Partition(
            {"a": ad.GapController(change=0.1), "*": ad.Chain((ad.FixedController(), ad.BalanceController()))}
        ),
    ],
)
def test_a_controller_survives_json_with_its_settings(controller: ad.Controller) -> None:
    stored = json.loads(json.dumps(controller_to_dict(controller), allow_nan=False))
    assert controller_from_dict(stored) == controller


def test_a_setting_without_a_json_form_is_told_to_people_only() -> None:
    stored = controller_to_dict(Noted(FixedController(), math.inf))
    assert stored["init_args"]["note"] == {"repr": "inf"}
    stored |= {"class_path": "adaptive_dropout.FixedController"}
    with pytest.raises(ValueError, match=r"FixedController\.note was stored as inf, from which it cannot"):
        controller_from_dict(stored)


EVIL = {"class_path": "evil.Evil", "init_args": {}}


def inside(name: str, **settings: Any) -> dict[str, Any]:
    return {"class_path": f"adaptive_dropout.{name}", "init_args": settings}


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that importing ``evil`` would write."""
    path = tmp_path / "marker"
    code = f"from adaptive_dropout import FixedController as Evil\nopen({str(path)!r}, 'w').close()\n"
    (tmp_path / "evil.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    return path


@pytest.mark.parametrize(
    "data",
    [
        EVIL,
        inside("Clip", controller=EVIL),
        inside("RewindController", controller=EVIL),
        inside("Chain", controllers=[inside("FixedController"), EVIL]),
        inside("Partition", controllers={"*": inside("SpeedLimit", controller=EVIL)}),
    ],
)
def test_a_class_that_a_file_names_is_named_and_not_imported(data: dict[str, Any], marker: Path) -> None:
    with pytest.raises(ValueError, match=r"names the controller 'evil\.Evil', .* name it yourself with --controller"):
        controller_from_dict(data)
    assert not marker.exists()


@pytest.mark.parametrize("controller", [FixedController(), ad.Clip(ad.PlateauController()), ad.RewindController()])
def test_a_class_that_a_stored_state_names_is_not_imported(controller: Controller, marker: Path) -> None:
    stored = state_to_dict(controller.init({"fc": 0.5}))
    for field in stored:
        with suppress(KeyError, TypeError):
            state_from_dict(controller, stored | {field: EVIL})
    assert not marker.exists()


def test_importing_it_would_have_left_a_marker(marker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    importlib.import_module("evil")
    assert marker.exists()
    monkeypatch.delitem(sys.modules, "evil")


@pytest.mark.parametrize("path", ["os.system", "adaptive_dropout.Dropout", "adaptive_dropout.Controller", "nothing"])
def test_only_controllers_of_the_library_are_made(path: str) -> None:
    with pytest.raises(ValueError, match=f"names the controller '{path}', which is not one of adaptive_dropout's"):
        controller_from_dict({"class_path": path, "init_args": {}})


@pytest.mark.parametrize("data", [None, [], {}, {"class_path": "adaptive_dropout.FixedController"}])
def test_what_is_not_a_stored_controller_is_shown(data: Any) -> None:
    with pytest.raises(ValueError, match="a stored controller has to have 'class_path' and 'init_args', but got"):
        controller_from_dict(data)
