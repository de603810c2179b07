"""The rule that starts by itself and begins anew where the best weights come early, decision by decision."""

from __future__ import annotations

from itertools import accumulate

import pytest

import adaptive_dropout as ad
from adaptive_dropout.controllers.restart import RestartState
from tests.controllers.test_rewind import OVERFITTING, TOTAL, logit, signals

UNDERFITTING = {"train_loss": 9.0}


def run(val_losses: list[float], start: float = 0.3, every: int = 10, **others: float) -> list[RestartState]:
    """The states without any rule in between."""
    controller = ad.RestartController(ad.FixedController(), start=start)
    log = [signals(every * (n + 1), v, **others) for n, v in enumerate(val_losses)]
    first = controller.init(controller.starting_rates({"a": 0.77}))
    return list(accumulate(log, controller.update, initial=first))[1:]  # type: ignore[arg-type]


def restarts(states: list[RestartState]) -> list[int]:
    return [n + 1 for n, state in enumerate(states) if state.restart]


@pytest.mark.parametrize("model", [0.0, 0.1, 0.5, 0.8])
def test_the_rates_of_the_model_do_not_matter(model: float) -> None:
    rates = {"a": model, "b": 1 - model}
    assert ad.RestartController().starting_rates(rates) == {"a": 0.2, "b": 0.2}
    assert ad.RestartController(start=0.25).starting_rates(rates) == {"a": 0.25, "b": 0.25}
    assert ad.RestartController(start="model").starting_rates(rates) == rates


def test_where_no_example_is_shown_twice_there_is_no_noise_to_begin_with() -> None:
    rates = {"a": 0.5}
    controllers = {"auto": ad.RestartController(), "0.3": ad.RestartController(start=0.3)}
    for passes, auto in ((None, 0.2), (30.0, 0.2), (1.01, 0.2), (1.0, 0.001), (0.02, 0.001)):
        assert controllers["auto"].starting_rates(rates, passes) == {"a": auto}
        assert controllers["0.3"].starting_rates(rates, passes) == {"a": 0.3}
        assert ad.RestartController(start="model").starting_rates(rates, passes) == rates
        assert ad.Clip(ad.Chain((ad.RestartController(),))).starting_rates(rates, passes) == {"a": auto}
        assert ad.Partition({"*": ad.RestartController()}).starting_rates(rates, passes) == {"a": auto}


@pytest.mark.parametrize(
    "controller",
    [
        ad.Clip(ad.RestartController(), high=0.5),
        ad.Chain((ad.FixedController(), ad.RestartController(), ad.BalanceController())),
        ad.Partition({"a": ad.RestartController(), "*": ad.FixedController()}),
    ],
    ids=lambda controller: type(controller).__name__,
)
def test_rules_around_it_start_where_it_does(controller: ad.Controller) -> None:
    started = controller.starting_rates({"a": 0.7, "b": 0.6})
    assert started["a"] == 0.2
    assert started["b"] == (0.6 if isinstance(controller, ad.Partition) else 0.2)


@pytest.mark.parametrize("start", ["zero", -0.1, 1.5, float("nan")])
def test_a_start_that_is_none_is_refused_in_one_line(start: object) -> None:
    with pytest.raises(ValueError, match=r"^start has to be .*, but got") as caught:
        ad.RestartController(start=start)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_an_early_stall_of_an_overfitted_attempt_begins_anew_with_more_noise() -> None:
    states = run([1.0] * 3 + [2.0] * 5, **OVERFITTING)
    assert restarts(states) == [8]
    last = states[-1]
    assert not last.rewind
    assert not last.improved
    assert last.reason == "validation stalled early at 1, started anew: overfitting, raised"
    assert logit(last.rates["a"]) == pytest.approx(logit(0.3) + 1.0)
    assert (last.best, last.lost, last.attempt_best) == (1.0, 80, None)


def test_rates_that_were_raised_do_not_fall_in_the_attempt() -> None:
    controller = ad.RestartController(ad.BalanceController(), start=0.3)
    log = [signals(10 * (n + 1), v, **OVERFITTING) for n, v in enumerate([1.0] * 3 + [2.0] * 5)]
    log += [signals(10 * (n + 9), v, **UNDERFITTING) for n, v in enumerate([0.9] * 3 + [2.0] * 5)]
    states = list(accumulate(log, controller.update, initial=controller.init({"a": 0.3})))[1:]
    first, second = restarts(states)
    raised = states[first - 1].rates["a"]
    assert raised > 0.3
    assert all(state.rates["a"] == raised and not state.reason for state in states[first : second - 1])
    assert states[-1].rates["a"] < raised
    alone = ad.BalanceController()
    assert list(accumulate(log[first:], alone.update, initial=alone.init({"a": raised})))[-1].rates["a"] < raised


def test_rates_that_noise_swamped_may_fall() -> None:
    states = run([1.0] * 3 + [2.0] * 5 + [5.0] * 2, **OVERFITTING)
    assert states[7].raised
    controller = ad.RestartController(ad.FixedController(), start=0.3)
    last = controller._restart(states[-1])
    assert isinstance(last, RestartState)
    assert not last.raised


def test_an_early_stall_of_an_underfitted_attempt_begins_anew_with_less() -> None:
    last = run([1.0] * 3 + [2.0] * 5, **UNDERFITTING)[-1]
    assert last.restart
    assert logit(last.rates["a"]) == pytest.approx(logit(0.3) - 1)


@pytest.mark.parametrize(("clean_loss", "raised"), [(0.5, True), (3.0, False)])
def test_where_the_training_loss_is_unknown_the_clean_loss_stands_in(clean_loss: float, raised: bool) -> None:
    controller = ad.RestartController(ad.FixedController(), start=0.3)
    log = [signals(10 * (n + 1), v, clean_loss=clean_loss) for n, v in enumerate([1.0] * 3 + [2.0] * 5)]
    for seen in log:
        del seen["train_loss"]
    last = list(accumulate(log, controller.update, initial=controller.init({"a": 0.3})))[-1]
    assert last.restart
    assert (last.rates["a"] > 0.3) is raised


def test_an_attempt_without_a_new_best_was_a_step_too_far() -> None:
    states = run([1.0] * 3 + [2.0] * 5 + [1.5] * 3 + [2.0] * 5, **OVERFITTING)
    first, second = states[7], states[-1]
    assert restarts(states) == [8, 16]
    assert second.reason.endswith("no new best, nearer to it")
    assert logit(second.rates["a"]) == pytest.approx((logit(first.rates["a"]) + logit(0.3)) / 2)


def test_after_two_attempts_without_a_new_best_it_rewinds_to_the_best_of_the_run() -> None:
    states = run([1.0] * 3 + [2.0] * 5 + ([1.5] * 3 + [2.0] * 5) * 2, **OVERFITTING)
    assert restarts(states) == [8, 16]
    last = states[-1]
    assert last.rewind
    assert last.reason.startswith("validation stalled, rewound to 1: overfitting, raised")
    assert logit(0.3) < logit(last.rates["a"]) < logit(states[7].rates["a"]) + 1e-9
    assert last.attempt_best == last.best == 1.0


def test_an_attempt_with_a_new_best_allows_others() -> None:
    states = run([1.0] * 3 + [2.0] * 5 + ([1.5] * 3 + [2.0] * 5) + [0.5] * 3 + [2.0] * 5, **OVERFITTING)
    assert restarts(states) == [8, 16, 24]
    assert states[-1].failed == 0


def test_where_time_is_short_it_rewinds() -> None:
    long = [1.0 - n / 1000 for n in range(45)]  # the best weights are 450 steps old, half of the run
    states = run([*long, *[2.0] * 40], **OVERFITTING)
    assert not restarts(states)
    assert any(state.rewind for state in states)


def test_a_network_that_has_hardly_learned_does_not_begin_anew_with_more_noise() -> None:
    states = run([1.0] * 3 + [2.0] * 5, **OVERFITTING, trivial_loss=1.0)
    assert not restarts(states)


def test_a_run_has_as_many_decisions_as_validations_and_its_rates_stay_in_range() -> None:
    for others in (OVERFITTING, UNDERFITTING):
        states = run([1.0, 0.9, 0.8] + [2.0] * (TOTAL // 10 - 3), **others)
        assert all(0.001 <= state.rates["a"] <= 0.9 for state in states)
        assert not any(state.restart and state.rewind for state in states)
