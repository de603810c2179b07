"""The closed form of each schedule, how fractions become steps, and settings that make no sense."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest

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
from adaptive_dropout.schedules.horizon import progress


def test_linear_is_a_straight_line_between_its_exact_ends():
    line = LinearSchedule(0.1, 0.7, steps=10)
    assert (line(0), line(10)) == (0.1, 0.7)
    assert [line(step) for step in range(11)] == pytest.approx([0.1 + 0.06 * step for step in range(11)])


def test_cosine_is_flat_at_its_ends_and_half_way_in_the_middle():
    curve = CosineSchedule(0.5, 0.1, steps=100)
    assert (curve(0), curve(100)) == (0.5, 0.1)
    assert curve(50) == pytest.approx(0.3)
    assert curve(25) == pytest.approx(0.1 + 0.4 * (1 + math.cos(math.pi / 4)) / 2)


def test_exponential_multiplies_by_one_factor():
    path = ExponentialSchedule(0.8, 0.1, steps=30)
    assert (path(0), path(30)) == (0.8, 0.1)
    ratios = [path(step + 1) / path(step) for step in range(30)]
    assert ratios == pytest.approx([(0.1 / 0.8) ** (1 / 30)] * 30)


def test_steps_change_at_their_milestones():
    stairs = StepSchedule((0.5, 0.2, 0.0), (3, 5))
    assert [stairs(step) for step in range(7)] == [0.5, 0.5, 0.5, 0.2, 0.2, 0.0, 0.0]
    assert StepSchedule((0.4,), ())(9) == 0.4


def test_cycle_is_a_triangle_that_repeats():
    cycle = CyclicSchedule(0.1, 0.5, period=8)
    one = [0.1, 0.2, 0.3, 0.4, 0.5, 0.4, 0.3, 0.2]
    assert [cycle(step) for step in range(24)] == pytest.approx(one * 3)


def test_curriculum_rises_as_a_saturating_exponential():
    rise = CurriculumSchedule(0.5, steps=100, gamma=5.0)
    assert rise(0) == 0.0
    assert [rise(step) for step in range(101)] == pytest.approx(
        [0.5 * (1 - math.exp(-0.05 * step)) for step in range(101)]
    )


@pytest.mark.parametrize("falling", [AnnealedSchedule(0.6, steps=4), EarlySchedule(0.6, cutoff=4)], ids=repr)
def test_annealed_and_early_fall_to_exactly_zero(falling):
    assert [falling(step) for step in range(4)] == pytest.approx([0.6, 0.45, 0.3, 0.15])
    assert falling(4) == falling(5) == 0.0


def test_late_begins_at_its_cutoff():
    assert [LateSchedule(0.6, cutoff=2)(step) for step in range(4)] == [0.0, 0.0, 0.6, 0.6]


def test_fractions_become_rounded_shares_of_the_run():
    assert LinearSchedule(0.5, 0.0, steps=0.29).over(100).steps == 29  # 0.29 * 100 is 28.999999999999996
    assert LinearSchedule(0.5, 0.0, steps=0.001).over(10).steps == 1
    assert LinearSchedule(0.5, 0.0, steps=7).over(100).steps == 7
    assert StepSchedule((0.1, 0.2, 0.3), (0.5, 1.0)).over(40).milestones == (20, 40)


def test_milestones_stay_apart_in_a_run_of_one_step():
    assert StepSchedule((0.1, 0.2, 0.3), (0.3, 0.6)).over(1).milestones == (1, 2)


def test_sequential_lets_each_schedule_count_from_its_own_start():
    plan = SequentialSchedule((LinearSchedule(0.0, 0.4, steps=4), AnnealedSchedule(0.4, steps=2)), (6,))
    assert [plan(step) for step in range(9)] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.2, 0.0])


def test_sequential_takes_inner_fractions_of_its_segments():
    inner = SequentialSchedule((ConstantSchedule(0.1), AnnealedSchedule(0.4, steps=0.5)), (0.5,))
    plan = SequentialSchedule((LinearSchedule(0.0, 0.4), inner, EarlySchedule(0.4, cutoff=0.25)), (0.2, 0.6))
    nested = SequentialSchedule((ConstantSchedule(0.1), AnnealedSchedule(0.4, steps=20)), (40,))
    settled = (LinearSchedule(0.0, 0.4, steps=40), nested, EarlySchedule(0.4, cutoff=20))
    assert plan.over(200) == SequentialSchedule(settled, (40, 120))


def test_sequential_beyond_the_end_of_the_run_keeps_one_step():
    plan = SequentialSchedule((LinearSchedule(0.0, 0.4), LinearSchedule(0.4, 0.0)), (50,)).over(10)
    assert [schedule.steps for schedule in plan.schedules] == [50, 1]


def test_a_schedule_of_the_users_own_is_a_peer():
    @dataclass(frozen=True)
    class SquareRoot(Schedule):
        p: float
        steps: int | float = 1.0
        probabilities: ClassVar[tuple[str, ...]] = ("p",)
        horizons: ClassVar[tuple[str, ...]] = ("steps",)

        def __call__(self, step: int) -> float:
            return self.p * math.sqrt(progress(step, self.steps))

    plan = SequentialSchedule((SquareRoot(0.5), ConstantSchedule(0.5)), (0.5,)).over(200)
    assert plan(25) == 0.25
    with pytest.raises(ValueError, match=r"^p has to be"):
        SquareRoot(2.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: StepSchedule((0.5, 2.0), (1,)), r"^values\[1\] has to be between 0 and 1"),
        (lambda: StepSchedule((0.5,), (1,)), "1 values and 1 milestones"),
        (lambda: StepSchedule((0.1, 0.2, 0.3), (5, 5)), "strictly increasing"),
        (lambda: StepSchedule((0.1, 0.2, 0.3), (1, 0.5)), "all ints .* or all floats"),
        (lambda: StepSchedule((0.1, 0.2), (0,)), r"^milestones\[0\] has to be at least 1"),
        (lambda: SequentialSchedule((), ()), "0 schedules and 0 milestones"),
        (lambda: ExponentialSchedule(0.5, 0.0), "^end has to be above 0"),
        (lambda: ExponentialSchedule(0.0, 0.5), "^start has to be above 0"),
        (lambda: CyclicSchedule(0.5, 0.1, 10), r"low=0\.5 and high=0\.1"),
        (lambda: CurriculumSchedule(0.5, gamma=0.0), "^gamma has to be a finite number above 0"),
        (lambda: CurriculumSchedule(0.5, gamma=math.inf), "^gamma has to be a finite number above 0"),
    ],
)
def test_settings_that_make_no_sense_are_value_errors(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: StepSchedule("12", (1,)), "^values has to be a list or tuple"),
        (lambda: StepSchedule((0.1, 0.2), 5), "^milestones has to be a list or tuple"),
        (lambda: SequentialSchedule((0.5, ConstantSchedule(0.1)), (1,)), r"^schedules\[0\] has to be a Schedule"),
        (lambda: CurriculumSchedule(0.5, gamma="10"), "^gamma has to be a number"),
    ],
)
def test_settings_of_the_wrong_kind_are_type_errors(build, message):
    with pytest.raises(TypeError, match=message):
        build()
