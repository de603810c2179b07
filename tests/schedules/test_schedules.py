"""What every schedule promises: purity, checked settings, value semantics, a config form."""

from __future__ import annotations

import copy
import doctest
import importlib
import math
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from jsonargparse import ArgumentParser

from adaptive_dropout import schedules
from adaptive_dropout.schedules import (
    AnnealedSchedule,
    ConstantSchedule,
    CosineSchedule,
    CurriculumSchedule,
    CyclicSchedule,
    EarlySchedule,
    ExponentialSchedule,
    LateSchedule,
    LinearSchedule,
    Schedule,
    SequentialSchedule,
    StepSchedule,
)

RELATIVE = [
    LinearSchedule(0.5, 0.1),
    CosineSchedule(0.1, 0.6, steps=0.5),
    ExponentialSchedule(0.8, 0.01),
    StepSchedule((0.5, 0.2, 0.0), (0.25, 0.75)),
    CyclicSchedule(0.1, 0.4, period=0.2),
    CurriculumSchedule(0.5),
    AnnealedSchedule(0.5, steps=0.9),
    EarlySchedule(0.3, cutoff=0.1),
    LateSchedule(0.3, cutoff=0.4),
    SequentialSchedule((LinearSchedule(0.0, 0.5), AnnealedSchedule(0.5, steps=0.5)), (0.3,)),
]
ABSOLUTE = [schedule.over(200) for schedule in RELATIVE]
EVERY = [ConstantSchedule(0.3), *RELATIVE, *ABSOLUTE]
HELD = [s for s in ABSOLUTE if not isinstance(s, CyclicSchedule)]


every = pytest.mark.parametrize("schedule", EVERY, ids=repr)
relative = pytest.mark.parametrize("schedule", RELATIVE, ids=repr)
absolute = pytest.mark.parametrize("schedule", ABSOLUTE, ids=repr)


def from_yaml(text):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--s", type=Schedule)
    return parser.instantiate(parser.parse_string(text)).s


def as_config(schedule):
    init = {field.name: getattr(schedule, field.name) for field in fields(schedule)}
    init = {name: list(value) if isinstance(value, tuple) else value for name, value in init.items()}
    if "schedules" in init:
        init["schedules"] = [as_config(inner) for inner in init["schedules"]]
    return {"class_path": f"adaptive_dropout.schedules.{type(schedule).__name__}", "init_args": init}


def test_every_exported_schedule_is_among_the_examples():
    exported = {kind for kind in map(vars(schedules).get, schedules.__all__) if isinstance(kind, type)} - {Schedule}
    assert exported == {type(schedule) for schedule in EVERY}


def test_importing_schedules_does_not_import_torch():
    code = "import sys, adaptive_dropout.schedules; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("part", ["piecewise", "published", "shapes"])
def test_docstring_examples_hold(part):
    module = importlib.import_module(f"adaptive_dropout.schedules.{part}")
    result = doctest.testmod(module)
    public = len(module.__all__)
    assert result.failed == 0
    assert result.attempted >= public


@absolute
def test_p_is_a_probability_at_every_step(schedule):
    assert all(0.0 <= schedule(step) <= 1.0 for step in range(500))


@absolute
def test_same_step_gives_same_p_in_any_order(schedule):
    forwards = [schedule(step) for step in range(300)]
    backwards = [schedule(step) for step in reversed(range(300))]
    assert forwards == backwards[::-1]


@every
def test_step_zero_needs_no_horizon(schedule):
    assert schedule(0) == schedule.over(1000)(0)


@relative
def test_a_fraction_of_an_unknown_run_raises_once_the_run_has_begun(schedule):
    with pytest.raises(ValueError, match=r"(steps|period|cutoff|milestones\[0\])=0?1?\.\d+ is a fraction.*over"):
        schedule(1)


@every
@pytest.mark.parametrize("step", [1.0, 0.0, "1", None, True])
def test_a_step_that_is_no_whole_number_is_a_type_error(schedule, step):
    with pytest.raises(TypeError, match="step has to be a whole number"):
        schedule(step)


@every
def test_a_negative_step_is_a_value_error(schedule):
    with pytest.raises(ValueError, match=r"step has to be 0 .* got -1"):
        schedule(-1)


@every
def test_over_is_settled_the_first_time(schedule):
    settled = schedule.over(100)
    assert settled.over(7) == settled.over(math.inf) == settled


@every
@pytest.mark.parametrize("total", [0, 1, 2, 3])
def test_over_works_for_the_shortest_runs(schedule, total):
    short = schedule.over(total)
    assert all(0.0 <= short(step) <= 1.0 for step in range(5))


@every
@pytest.mark.parametrize(("total", "error"), [(-1, ValueError), (10.0, TypeError), ("10", TypeError)])
def test_over_refuses_what_is_no_length_of_a_run(schedule, total, error):
    with pytest.raises(error, match="total_steps has to be"):
        schedule.over(total)


@relative
def test_over_refuses_fractions_of_an_endless_run(schedule):
    with pytest.raises(ValueError, match="a run without an end has no fraction"):
        schedule.over(math.inf)


@pytest.mark.parametrize("schedule", HELD, ids=repr)
def test_the_last_value_is_held(schedule):
    assert schedule(200) == schedule(201) == schedule(10**9)


@every
def test_equal_fields_make_equal_schedules(schedule):
    for twin in (replace(schedule), copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert twin == schedule
        assert hash(twin) == hash(schedule)


def test_different_schedules_differ():
    assert len(set(EVERY)) == len(EVERY)
    assert AnnealedSchedule(0.3, steps=9) != EarlySchedule(0.3, cutoff=9)


def test_one_step_and_the_whole_run_are_not_equal():
    assert LinearSchedule(0.5, 0.1, steps=1) != LinearSchedule(0.5, 0.1, steps=1.0)
    assert LinearSchedule(0.5, 0.1).over(1) != LinearSchedule(0.5, 0.1)
    assert StepSchedule((0.5, 0.1), (1,)) != StepSchedule((0.5, 0.1), (1.0,))


@every
def test_repr_makes_the_same_schedule(schedule):
    again = eval(repr(schedule), vars(schedules))
    assert again == schedule


@every
def test_fields_are_frozen(schedule):
    name = fields(schedule)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(schedule, name, 0.5)


@every
def test_a_config_builds_the_same_schedule(schedule):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--s", type=Schedule)
    built = parser.instantiate(parser.parse_object({"s": as_config(schedule)})).s
    assert built == schedule


@pytest.mark.parametrize(("text", "steps"), [("100", 100), ("1", 1), ("0.5", 0.5), ("1.0", 1.0)])
def test_yaml_and_command_line_keep_steps_apart_from_fractions(text, steps):
    path = "adaptive_dropout.schedules.LinearSchedule"
    yaml = from_yaml(f"s: {{class_path: {path}, init_args: {{start: 0.5, end: 0, steps: {text}}}}}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--s", type=Schedule)
    parsed = parser.parse_args([f"--s={path}", "--s.start=0.5", "--s.end=0", f"--s.steps={text}"])
    for built in (yaml, parser.instantiate(parsed).s):
        assert (type(built.steps), built.steps) == (type(steps), steps)


def test_yaml_builds_a_nested_plan():
    built = from_yaml(
        """
        s:
          class_path: adaptive_dropout.schedules.SequentialSchedule
          init_args:
            milestones: [100]
            schedules:
              - {class_path: adaptive_dropout.schedules.LinearSchedule, init_args: {start: 0, end: 0.5}}
              - class_path: adaptive_dropout.schedules.StepSchedule
                init_args: {values: [0.5, 0.1], milestones: [50]}
        """
    )
    inner = (LinearSchedule(0.0, 0.5), StepSchedule((0.5, 0.1), (50,)))
    assert built == SequentialSchedule(inner, (100,))


def test_lists_become_tuples():
    assert StepSchedule([0.5, 0.1], [10]) == StepSchedule((0.5, 0.1), (10,))
    constants = [ConstantSchedule(0.1), ConstantSchedule(0.2)]
    assert hash(SequentialSchedule(constants, [10])) == hash(SequentialSchedule(tuple(constants), (10,)))


BAD_P = [(1.5, ValueError), (-0.1, ValueError), (math.nan, ValueError), ("0.5", TypeError), (True, TypeError)]


@pytest.mark.parametrize(
    ("cls", "settings"), [(type(s), s) for s in [ConstantSchedule(0.3), *RELATIVE] if s.probabilities], ids=str
)
@pytest.mark.parametrize(("p", "error"), BAD_P)
def test_every_p_is_checked_by_name(cls, settings, p, error):
    for name in cls.probabilities:
        with pytest.raises(error, match=f"^{name} has to be"):
            replace(settings, **{name: p})


@pytest.mark.parametrize("settings", [s for s in RELATIVE if s.horizons], ids=repr)
@pytest.mark.parametrize(
    ("horizon", "error"),
    [
        *[(wrong, ValueError) for wrong in (0, -3, 0.0, 1.5, math.nan)],
        *[(wrong, TypeError) for wrong in (True, "100", None)],
    ],
)
def test_every_horizon_is_checked_by_name(settings, horizon, error):
    for name in settings.horizons:
        with pytest.raises(error, match=f"^{name} "):
            replace(settings, **{name: horizon})
