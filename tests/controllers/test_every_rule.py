"""What every controller promises: purity, replay, storing, p in [0, 1], checked settings, a config form."""

from __future__ import annotations

import copy
import doctest
import importlib
import json
import math
import pickle
import pkgutil
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from statistics import fmean

import pytest
from jsonargparse import ArgumentParser

from adaptive_dropout import controllers
from adaptive_dropout.controllers import (
    BalanceController,
    Chain,
    Clip,
    Controller,
    FixedController,
    GapController,
    HypergradientController,
    Partition,
    PlateauController,
    ResponseController,
    RestartController,
    RewindController,
    SlopeController,
    SpeedLimit,
    State,
    read_signal,
    state_from_dict,
    state_to_dict,
)
from adaptive_dropout.controllers.base import at_rates, changed


@dataclass(frozen=True)
class Memory(State):
    """A user's state: a history as nested tuples, a number for each rate, a state inside the state."""

    history: tuple[tuple[float, float], ...] = ()
    moves: Mapping[str, int] | None = None
    inner: State | None = None


@dataclass(frozen=True)
class Remembering(Controller):
    """A user's controller: lets another decide and remembers everything."""

    controller: Controller

    def init(self, rates):
        return Memory(rates, moves=dict.fromkeys(rates, 0), inner=self.controller.init(rates))

    def update(self, state, signals):
        inner = self.controller.update(state.inner, signals)
        moves = {name: n + (inner.rates[name] != state.rates[name]) for name, n in state.moves.items()}
        history = (*state.history, (signals["train_loss"], signals["val_loss"]))
        return Memory(inner.rates, history=history, moves=moves, inner=inner)


EVERY = [
    FixedController(),
    GapController(change=0.3),
    PlateauController(patience=1, change=0.4, cooldown=1),
    Clip(PlateauController(patience=1, change=0.3), low=0.1, high=0.6),
    SpeedLimit(GapController(change=0.5), change=0.07),
    Partition({"conv*": PlateauController(patience=2), "fc1": GapController(change=0.2), "*": FixedController()}),
    Clip(SpeedLimit(Partition({"c*": Partition({"*": PlateauController(1)}), "*": GapController()}), 0.04), 0, 0.5),
    BalanceController(span=20.0),
    SlopeController(window=3),
    Chain((GapController(change=0.1), BalanceController())),
    RestartController(),
    RestartController(FixedController(), start="model"),
    RewindController(),
    RewindController(Clip(PlateauController(patience=1), high=0.5)),
    HypergradientController(),
    RewindController(ResponseController(span=5.0)),
    ResponseController(),
    Remembering(Partition({"*": PlateauController(patience=1)})),
]
PACKAGED = EVERY[:-1]
RATES = {"conv1": 0.2, "conv2": 0.0, "fc1": 1.0, "fc2": 0.5}

every = pytest.mark.parametrize("controller", EVERY, ids=repr)
packaged = pytest.mark.parametrize("controller", PACKAGED, ids=repr)


def signal_log(n=60, seed=0):
    rng = random.Random(seed)
    ranges = {"train_loss": 1.0, "val_loss": 1.2, "clean_loss": 1.0, "gap_z": 5.0, "clean_drop_z": 5.0}
    clock = {"epoch": 0.0, "total_steps": float(n)}
    gradients = [f"{kind}/{name}" for kind in ("hypergradient", "response") for name in RATES]
    return [
        {name: rng.uniform(0.0, high) for name, high in ranges.items()}
        | {name: rng.gauss(0.0, 1e-3) for name in gradients}
        | clock
        | {"step": float(step)}
        for step in range(n)
    ]


def replay(controller, log, state=None):
    return list(accumulate(log, controller.update, initial=state or controller.init(RATES)))


def as_config(value):
    if isinstance(value, Mapping):
        return {key: as_config(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [as_config(item) for item in value]
    if not is_dataclass(value):
        return value
    init = {field.name: as_config(getattr(value, field.name)) for field in fields(value)}
    return {"class_path": f"adaptive_dropout.controllers.{type(value).__name__}", "init_args": init}


def test_every_exported_controller_is_among_the_examples():
    exported = [getattr(controllers, name) for name in controllers.__all__]
    rules = {c for c in exported if isinstance(c, type) and issubclass(c, Controller)} - {Controller}
    assert rules == {type(controller) for controller in PACKAGED}


def test_importing_controllers_does_not_import_torch():
    code = "import sys, adaptive_dropout.controllers; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("part", [m.name for m in pkgutil.iter_modules(controllers.__path__)])
def test_docstring_examples_hold(part):
    assert doctest.testmod(importlib.import_module(f"adaptive_dropout.controllers.{part}")).failed == 0


@dataclass(frozen=True)
class Checked(State):
    """A user's state that checks what it holds."""

    count: int = 0

    def __post_init__(self):
        super().__post_init__()
        assert self.count >= 0


@dataclass(frozen=True, slots=True)
class Slotted(State):
    """A user's state without a dictionary of its own."""

    count: int = 0


@every
def test_a_changed_state_is_what_replace_makes_of_it(controller):
    moved = dict.fromkeys(RATES, 0.25)
    for state in replay(controller, signal_log(9)):
        before = copy.deepcopy(state)
        assert changed(state, rates=moved, reason="why") == replace(state, rates=moved, reason="why")
        assert state == before
        with pytest.raises(ValueError, match="has to be between 0 and 1, but got nan"):
            changed(state, rates=dict.fromkeys(RATES, math.nan))


def test_a_changed_state_of_a_users_own_kind_keeps_its_checks():
    assert changed(Slotted({"fc": 0.5}, count=3), reason="why") == Slotted({"fc": 0.5}, reason="why", count=3)
    assert changed(Checked({"fc": 0.5}), count=3) == Checked({"fc": 0.5}, count=3)
    with pytest.raises(AssertionError):
        changed(Checked({"fc": 0.5}), count=-1)


@dataclass(frozen=True)
class Averaged(State):
    """A user's state that computes a mean of its rates once."""

    @cached_property
    def mean(self):
        return fmean(self.rates.values())


def test_a_changed_state_computes_anew_what_it_keeps():
    state = Averaged({"fc": 0.5})
    assert state.mean == 0.5
    assert changed(state, rates={"fc": 0.25}).mean == 0.25


def test_states_share_the_rates_that_one_takes_from_another():
    state, other = State({"fc": 0.5}), State({"fc": 0.25}, improved=True)
    assert at_rates(other, state.rates) == State({"fc": 0.5}, improved=True)
    assert at_rates(other, state.rates).rates is state.rates
    assert at_rates(other, other.rates) is other


@every
def test_init_leaves_the_rates_as_they_are(controller):
    state = controller.init(RATES)
    assert state.rates == RATES
    assert (state.improved, state.rewind, state.reason) == (False, False, "")


@every
def test_rates_keep_their_names_and_stay_probabilities(controller):
    for state in replay(controller, signal_log()):
        assert list(state.rates) == list(RATES)
        assert all(0.0 <= p <= 1.0 for p in state.rates.values())


@packaged
def test_rates_never_move_without_a_reason(controller):
    states = replay(controller, signal_log())
    moves = [(before, after) for before, after in pairwise(states) if before.rates != after.rates]
    assert bool(moves) != isinstance(controller, FixedController)
    assert all(after.reason for _, after in moves)


@every
def test_update_changes_neither_its_state_nor_the_signals(controller):
    state = replay(controller, signal_log(7))[-1]
    signals = signal_log(8, seed=3)[-1]
    before, given = copy.deepcopy(state), dict(signals)
    first, second = controller.update(state, signals), controller.update(state, signals)
    assert first == second
    assert (state, signals) == (before, given)


@every
def test_replaying_the_same_signals_gives_the_same_states(controller):
    assert replay(controller, signal_log()) == replay(copy.deepcopy(controller), signal_log())


@every
@pytest.mark.parametrize("pause", [0, 1, 17])
def test_a_run_continued_from_json_is_the_same_run(controller, pause):
    log = signal_log()
    whole = replay(controller, log)
    text = json.dumps(state_to_dict(whole[pause]), allow_nan=False)
    again = state_from_dict(controller, json.loads(text))
    assert again == whole[pause]
    assert replay(controller, log[pause:], again) == whole[pause:]


@every
def test_a_stored_state_with_other_fields_is_a_key_error(controller):
    data = state_to_dict(controller.init(RATES))
    with pytest.raises(KeyError, match=r"state has to have exactly .* but has .*'speed'"):
        state_from_dict(controller, data | {"speed": 1})
    del data["reason"]
    with pytest.raises(KeyError, match="state has to have exactly"):
        state_from_dict(controller, data)


@every
def test_states_and_settings_are_frozen(controller):
    with pytest.raises(FrozenInstanceError):
        controller.init(RATES).improved = True
    with pytest.raises(FrozenInstanceError):
        controller.change = 0.5


@packaged
def test_repr_and_pickle_make_the_same_controller(controller):
    assert eval(repr(controller), vars(controllers)) == controller
    assert pickle.loads(pickle.dumps(controller)) == controller


@packaged
def test_a_config_builds_the_same_controller(controller):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--c", type=Controller)
    text = json.dumps({"c": as_config(controller)})
    assert parser.instantiate(parser.parse_string(text)).c == controller


@pytest.mark.parametrize("controller", [GapController(), PlateauController()], ids=repr)
@pytest.mark.parametrize("name", ["train_loss", "val_loss"])
def test_missing_and_broken_signals_are_named(controller, name):
    good = {"train_loss": 1.0, "val_loss": 1.0, "epoch": 0.0}
    state = controller.init(RATES)
    with pytest.raises(KeyError, match=rf"no signal named '{name}'; there are \['epoch', '\w+'\]"):
        controller.update(state, {key: value for key, value in good.items() if key != name})
    for broken in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=f"signal '{name}' has to be a finite number, but got {broken}"):
            controller.update(state, good | {name: broken})


def test_read_signal_returns_a_float():
    value = read_signal({"val_acc": 1}, "val_acc")
    assert (type(value), value) == (float, 1.0)


@pytest.mark.parametrize(("p", "error"), [(1.02, ValueError), (math.nan, ValueError), ("0.5", TypeError)])
def test_a_state_holds_only_probabilities(p, error):
    with pytest.raises(error, match=r"^rates\['fc'\] has to be"):
        State({"fc": p})


def test_a_state_keeps_its_own_copy_of_the_rates():
    rates = {"fc": 0.5}
    state = State(rates)
    rates["fc"] = 0.9
    assert state.rates == {"fc": 0.5}
