"""What each controller does with the rates, and settings that make no sense."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest

from adaptive_dropout.controllers import (
    Clip,
    FixedController,
    GapController,
    Partition,
    PlateauController,
    SpeedLimit,
    State,
    state_from_dict,
    state_to_dict,
)


def signals(train_loss, val_loss):
    return {"train_loss": train_loss, "val_loss": val_loss}


def follow(controller, rates, log):
    """The states after each of the (train_loss, val_loss) pairs."""
    pairs = [signals(*pair) for pair in log]
    return list(accumulate(pairs, controller.update, initial=controller.init(rates)))[1:]


def path(controller, p, log):
    return [state.rates["fc"] for state in follow(controller, {"fc": p}, log)]


def test_fixed_reads_no_signal_and_moves_nothing():
    assert FixedController().update(State({"fc": 0.3}, improved=True), {}) == State({"fc": 0.3})


def test_gap_raises_above_lowers_below_and_holds_between():
    controller = GapController(low=0.0, high=0.5, change=0.25)
    log = [(1.0, 2.0), (1.0, 1.5), (1.0, 1.0), (1.0, 0.75)]
    assert path(controller, 0.5, log) == [0.75, 0.75, 0.75, 0.5]


def test_gap_ends_at_zero_and_at_one():
    assert path(GapController(change=0.4), 0.5, [(0.0, 9.0)] * 3) == [0.9, 1.0, 1.0]
    assert path(GapController(change=0.4), 0.5, [(9.0, 0.0)] * 3) == pytest.approx([0.1, 0.0, 0.0], abs=1e-12)


def test_gap_says_why():
    log = [(1.0, 1.25), (1.0, 1.25), (1.0, 1.05), (1.0, 0.5)]
    up, stuck, calm, down = follow(GapController(change=0.5), {"fc": 0.5}, log)
    assert up.reason == "gap 0.25 above 0.1: raised by 0.5"
    assert stuck.reason == "gap 0.25 above 0.1: cannot be raised further"
    assert calm.reason == ""
    assert down.reason == "gap -0.5 below 0.0: lowered by 0.5"


def test_plateau_holds_while_validation_improves():
    states = follow(PlateauController(patience=1), {"fc": 0.5}, [(0.1, 1.0), (0.1, 0.9), (0.1, 0.8)])
    assert [(state.rates["fc"], state.improved, state.reason) for state in states] == [(0.5, True, "")] * 3


def test_plateau_moves_after_patience_validations_without_improvement():
    controller = PlateauController(patience=2, change=0.25)
    log = [(0.5, 1.0)] * 6  # the first is the best, then 2 stalled, a move, 2 stalled, a move, 1 stalled
    states = follow(controller, {"fc": 0.25}, log)
    assert [state.rates["fc"] for state in states] == [0.25, 0.25, 0.5, 0.5, 0.75, 0.75]
    assert [state.improved for state in states] == [True] + [False] * 5
    assert states[2].reason == "val_loss stalled for 2 validations, gap 0.5: raised by 0.25"


@pytest.mark.parametrize(("train_loss", "p"), [(0.5, 0.75), (1.0, 0.25), (1.5, 0.25)])
def test_plateau_raises_only_if_validation_is_worse_than_training(train_loss, p):
    assert path(PlateauController(patience=1, change=0.25), 0.5, [(train_loss, 1.0)] * 2) == [0.5, p]


def test_plateau_counts_only_improvements_larger_than_min_delta():
    controller = PlateauController(patience=1, min_delta=0.25)
    improved = [state.improved for state in follow(controller, {"fc": 0.5}, [(0, 2.0), (0, 1.75), (0, 1.5)])]
    assert improved == [True, False, True]


def test_plateau_waits_for_its_cooldown():
    controller = PlateauController(patience=1, change=0.125, cooldown=2)
    assert path(controller, 0.0, [(0.5, 1.0)] * 6) == [0.0, 0.125, 0.125, 0.125, 0.25, 0.25]


def test_plateau_notices_a_new_best_while_cooling():
    controller = PlateauController(patience=1, cooldown=5)
    states = follow(controller, {"fc": 0.5}, [(0.1, 1.0), (0.1, 1.0), (0.1, 0.5), (0.1, 0.75)])
    assert [state.improved for state in states] == [True, False, True, False]
    assert states[-1].best == 0.5


def test_plateau_refuses_a_state_of_another_controller():
    with pytest.raises(TypeError, match=r"state has to be a PlateauState, .* but got a State"):
        PlateauController().update(State({"fc": 0.5}), signals(1.0, 1.0))


def test_clip_bounds_from_the_first_decision_on():
    controller = Clip(FixedController(), low=0.2, high=0.4)
    (state,) = follow(controller, {"a": 0.0, "b": 0.3, "c": 1.0}, [(1.0, 1.0)])
    assert state.rates == {"a": 0.2, "b": 0.3, "c": 0.4}
    assert state.reason == "kept within [0.2, 0.4]"


def test_clip_lets_the_inner_rule_go_on_from_the_bound():
    controller = Clip(GapController(change=0.25), high=0.5)
    assert path(controller, 0.5, [(0, 9), (0, 9), (9, 0)]) == [0.5, 0.5, 0.25]


def test_clip_keeps_what_the_inner_rule_remembers():
    first, second = follow(Clip(PlateauController(patience=1), high=0.1), {"fc": 0.1}, [(0.5, 1.0)] * 2)
    assert (first.improved, first.best, second.best) == (True, 1.0, 1.0)
    assert second.reason == "val_loss stalled for 1 validations, gap 0.5: raised by 0.05; kept within [0, 0.1]"


def test_speed_limit_bounds_each_move_both_ways():
    controller = SpeedLimit(GapController(change=0.5), change=0.125)
    assert path(controller, 0.5, [(0, 9), (0, 9), (9, 0)]) == [0.625, 0.75, 0.625]
    assert path(SpeedLimit(GapController(change=0.125), change=0.5), 0.5, [(0, 9)]) == [0.625]


def test_wrappers_compose_in_either_order():
    log = [(0, 9)] * 3
    inside = SpeedLimit(Clip(GapController(change=0.5), high=0.75), change=0.125)
    outside = Clip(SpeedLimit(GapController(change=0.5), change=0.125), high=0.75)
    assert path(inside, 0.5, log) == path(outside, 0.5, log) == [0.625, 0.75, 0.75]


def test_partition_gives_each_rate_to_its_first_glob():
    fast, slow = GapController(change=0.25), GapController(change=0.125)
    controller = Partition({"conv1": fast, "conv*": slow, "*": FixedController()})
    (state,) = follow(controller, {"conv1": 0.5, "fc": 0.5, "conv2": 0.5, "Conv3": 0.5}, [(0, 9)])
    assert state.rates == {"conv1": 0.75, "fc": 0.5, "conv2": 0.625, "Conv3": 0.5}
    assert list(state.rates) == ["conv1", "fc", "conv2", "Conv3"]
    assert state.reason == "conv1: gap 9 above 0.1: raised by 0.25; conv*: gap 9 above 0.1: raised by 0.125"


def test_partition_reports_what_any_part_reports():
    controller = Partition({"a": FixedController(), "b": PlateauController()})
    improved = [state.improved for state in follow(controller, {"a": 0.5, "b": 0.5}, [(1, 1), (1, 2)])]
    assert improved == [True, False]


def test_a_wrapper_around_a_partition_reaches_its_parts():
    controller = Clip(Partition({"*": Partition({"fc": GapController(change=0.25)})}), high=0.5)
    assert path(controller, 0.5, [(0, 9), (0, 9), (9, 0)]) == [0.5, 0.5, 0.25]


def test_partition_refuses_a_rate_without_a_glob():
    with pytest.raises(KeyError, match=r"no glob matches rate 'fc'; the globs are \['conv\*'\].*FixedController"):
        Partition({"conv*": FixedController()}).init({"conv1": 0.5, "fc": 0.5})


@pytest.mark.parametrize("globs", [["attn*", "*"], ["*", "fc"], ["f*", "fc"]])
def test_partition_refuses_a_glob_that_gets_no_rate(globs):
    with pytest.raises(KeyError, match=r"no rate is left for glob .*the rates are \['fc'\]"):
        Partition(dict.fromkeys(globs, FixedController())).init({"fc": 0.5})


def test_partition_may_leave_nothing_to_the_last_star_but_needs_a_rate():
    controller = Partition({"fc": GapController(change=0.25), "*": PlateauController()})
    assert path(controller, 0.5, [(0, 9)]) == [0.75]
    with pytest.raises(KeyError, match=r"the rates are \[\]"):
        Partition({"*": FixedController()}).init({})


def test_partition_does_not_continue_a_state_of_other_globs():
    stored = state_to_dict(Partition({"fc": FixedController()}).init({"fc": 0.5}))
    with pytest.raises(KeyError, match=r"state\.states has to have exactly \['f\*'\], but has \['fc'\]"):
        state_from_dict(Partition({"f*": FixedController()}), stored)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GapController(low=0.2, high=0.1), r"low=0\.2 and high=0\.1"),
        (lambda: GapController(high=math.nan), "^high has to be a finite number, but got nan"),
        (lambda: GapController(change=0.0), "^change has to be above 0"),
        (lambda: GapController(change=1.5), "^change has to be between 0 and 1"),
        (lambda: PlateauController(patience=0), "^patience has to be at least 1, but got 0"),
        (lambda: PlateauController(cooldown=-1), "^cooldown has to be at least 0, but got -1"),
        (lambda: PlateauController(min_delta=-0.1), r"^min_delta has to be at least 0, but got -0\.1"),
        (lambda: PlateauController(change=-0.1), "^change has to be between 0 and 1"),
        (lambda: Clip(FixedController(), 0.5, 0.4), r"low=0\.5 and high=0\.4"),
        (lambda: Clip(FixedController(), high=1.1), "^high has to be between 0 and 1"),
        (lambda: SpeedLimit(FixedController(), 0.0), "^change has to be above 0"),
        (lambda: Partition({}), "^controllers has to have a glob or more"),
    ],
)
def test_settings_that_make_no_sense_are_value_errors(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GapController(low="0"), "^low has to be a number, but got '0'"),
        (lambda: PlateauController(patience=2.0), r"^patience has to be a whole number, but got 2\.0"),
        (lambda: PlateauController(cooldown=True), "^cooldown has to be a whole number, but got True"),
        (lambda: Clip(FixedController), "^controller has to be a Controller such as .* got <class"),
        (lambda: SpeedLimit(None), "^controller has to be a Controller"),
        (lambda: Partition([FixedController()]), "^controllers has to be a mapping"),
        (lambda: Partition({"fc": 0.5}), r"^controllers\['fc'\] has to be a Controller"),
    ],
)
def test_settings_of_the_wrong_kind_are_type_errors(build, message):
    with pytest.raises(TypeError, match=message):
        build()
