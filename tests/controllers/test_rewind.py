"""The combined rule, decision by decision, and against the same rule written a second time as one loop."""

from __future__ import annotations

import math
import random
from itertools import accumulate
from statistics import linear_regression
from typing import Any

import pytest

import adaptive_dropout as ad
from adaptive_dropout.controllers.diagnosis import overfits
from adaptive_dropout.controllers.rewind import RewindState

TOTAL = 1000


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def p_of(theta: float) -> float:
    return 1 / (1 + math.exp(-theta))


def signals(step: int, val_loss: float, **others: float) -> dict[str, float]:
    quiet = {"train_loss": 0.0, "clean_loss": 0.0, "gap_z": 0.0, "clean_drop_z": 0.0}
    return quiet | {"val_loss": val_loss, "step": step, "total_steps": TOTAL} | others


def run(val_losses: list[float], start: float = 0.3, **others: float) -> list[RewindState]:
    """The states of a rewind without any rule in between, one validation every 10 steps."""
    controller = ad.RewindController(ad.FixedController())
    log = [signals(10 * (n + 1), v, **others) for n, v in enumerate(val_losses)]
    return list(accumulate(log, controller.update, initial=controller.init({"a": start})))[1:]  # type: ignore[arg-type]


OVERFITTING = {"gap_z": 3.0, "clean_drop_z": 3.0, "train_loss": -1.0}


def test_every_new_best_asks_for_a_snapshot_and_nothing_else_does() -> None:
    states = run([1.0, 0.9, 0.95, 0.8])
    assert [state.improved for state in states] == [True, True, False, True]
    assert not any(state.rewind or state.restart for state in states)


def test_a_stall_of_five_validations_rewinds() -> None:
    # The smoothed best is reached at the third validation, step 30; five intervals later is step 80.
    states = run([1.0] * 3 + [2.0] * 5)
    assert [state.rewind for state in states] == [False] * 7 + [True]
    assert states[-1].reason == "validation stalled, rewound to 1: lowered"


def test_older_weights_are_given_half_their_age() -> None:
    losses = [1.0 - n / 100 for n in range(20)] + [2.0] * 10
    states = run(losses)  # the best is 200 steps old: patience 100 from the smoothed best at step 200
    assert [n for n, state in enumerate(states) if state.rewind] == [29]


def test_patience_doubles_after_a_rewind_that_brought_no_new_best_but_leaves_time_for_others() -> None:
    states = run([1.0] * 3 + [2.0] * 97)
    # 50 steps, 100, 200; then thirds of what is left: 620 steps from step 380, 410 from 590, 270 from 730, ...
    assert [n + 1 for n, state in enumerate(states) if state.rewind][:6] == [8, 18, 38, 59, 73, 82]
    again = run([1.0] * 3 + [2.0] * 5 + [0.5] * 3 + [2.0] * 5)
    assert [n + 1 for n, state in enumerate(again) if state.rewind] == [8, 16]


def test_undone_steps_are_not_part_of_the_age() -> None:
    states = run([1.0] * 3 + [2.0] * 5 + [0.5])
    assert states[-1].age == 90 - 80 + 10  # the weights of step 10, and one interval since the rewind
    assert states[-1].lost == 70


def test_a_rewind_raises_by_a_logit_only_where_training_went_on_falling() -> None:
    up, down = run([1.0] * 3 + [2.0] * 5, **OVERFITTING)[-1], run([1.0] * 3 + [2.0] * 5)[-1]
    assert logit(up.rates["a"]) == pytest.approx(logit(0.3) + 1)
    assert logit(down.rates["a"]) == pytest.approx(logit(0.3) - 1)


@pytest.mark.parametrize(
    ("worse", "trivial", "logits"), [(1.08, 2.0, 0.8), (1.01, 2.0, 0.5), (1.4, 2.0, 1.5), (1.4, 5.0, 1.0)]
)
def test_a_raise_is_the_longer_the_more_validation_has_lost(worse: float, trivial: float, logits: float) -> None:
    state = run([1.0] * 3 + [worse] * 5, **OVERFITTING, trivial_loss=trivial)[-1]
    assert logit(state.rates["a"]) == pytest.approx(logit(0.3) + logits)


def test_a_second_raise_goes_on_from_the_first_and_a_second_fall_is_half_as_far() -> None:
    losses = [1.0] * 3 + [2.0] * 15
    up, down = run(losses, **OVERFITTING)[-1], run(losses)[-1]
    assert up.rewinds == down.rewinds == 2
    assert logit(up.rates["a"]) == pytest.approx(logit(0.3) + 2)
    assert logit(down.rates["a"]) == pytest.approx(logit(0.3) - 1)  # the first went further than half a logit


@pytest.mark.parametrize("missing", [{"gap_z": 1.9}, {"clean_drop_z": 1.9, "train_loss": 1.5}, {"train_loss": 3.0}])
def test_each_sign_of_overfitting_is_needed_to_raise(missing: dict[str, float]) -> None:
    assert run([1.0] * 3 + [2.0] * 5, **OVERFITTING | missing)[-1].rates["a"] < 0.3


def test_a_training_loss_with_nothing_left_to_fall_is_a_sign_too() -> None:
    learned_by_heart = OVERFITTING | {"clean_drop_z": 0.0, "train_loss": 0.9}
    assert run([1.0] * 3 + [2.0] * 5, **learned_by_heart)[-1].rates["a"] > 0.3


def test_a_raise_ends_at_a_fifth_at_least() -> None:
    assert run([1.0] * 3 + [2.0] * 5, start=0.01, **OVERFITTING)[-1].rates["a"] == pytest.approx(0.2)


def test_rates_stay_where_a_logit_is_finite() -> None:
    for start in (0.0, 1.0):
        for others in ({}, OVERFITTING):
            rates = [state.rates["a"] for state in run([1.0] * 3 + [2.0] * 40, start=start, **others) if state.rewinds]
            assert rates
            assert all(0.001 <= p <= 0.9 for p in rates)


def test_an_untrained_network_is_never_given_more_noise() -> None:
    state = run([1.0] * 3 + [2.0] * 5, **OVERFITTING, trivial_loss=1.0)[-1]
    assert state.rewind
    assert state.rates["a"] == 0.3


def test_noise_that_swamps_learning_starts_anew_with_less_at_most_six_times() -> None:
    states = run([1.0] * 40, start=0.8, train_loss=5.0, trivial_loss=1.0)
    restarts = [n for n, state in enumerate(states) if state.restart]
    assert restarts[:2] == [1, 3]
    assert len(restarts) == 6
    assert logit(states[1].rates["a"]) == pytest.approx(logit(0.8) - 1)


def test_balance_lowers_while_training_with_noise_is_worse_than_validation() -> None:
    controller = ad.BalanceController()
    first = controller.update(controller.init({"a": 0.5}), signals(50, 1.0, train_loss=2.0))
    assert first.rates == {"a": 0.5}
    second = controller.update(first, signals(100, 1.0, train_loss=2.0))
    assert logit(second.rates["a"]) == pytest.approx(-6 * 50 / TOTAL)
    assert controller.update(second, signals(150, 1.0, train_loss=0.9)).rates == second.rates


@pytest.mark.parametrize(
    ("val", "clean", "direction"),
    [(-0.01, -0.02, +1), (0.01, -0.02, +1), (-0.02, -0.02, -1), (-0.03, -0.02, -1), (-0.001, 0.0, 0), (0.01, 0.02, -1)],
)
def test_slope_compares_how_fast_validation_and_training_improve(val: float, clean: float, direction: int) -> None:
    controller = ad.SlopeController()
    log = [signals(10 * (n + 1) + 200, 2 + val * n, clean_loss=1 + clean * n) for n in range(6)]
    state = list(accumulate(log, controller.update, initial=controller.init({"a": 0.3})))[-1]
    assert math.copysign(1, state.rates["a"] - 0.3) * (state.rates["a"] != 0.3) == direction


def test_slope_never_reads_a_clean_loss_above_validation_as_overfitting() -> None:
    controller = ad.SlopeController()
    log = [signals(10 * (n + 1), 1 + 0.01 * n, clean_loss=2 - 0.02 * n) for n in range(6)]
    assert list(accumulate(log, controller.update, initial=controller.init({"a": 0.3})))[-1].rates == {"a": 0.3}


def test_what_the_rule_needs_is_named() -> None:
    controller = ad.RewindController()
    with pytest.raises(KeyError, match="no signal named 'val_loss'"):
        controller.update(controller.init({"a": 0.3}), {"train_loss": 1.0, "step": 1, "total_steps": 9})


def test_without_a_clean_loss_the_training_loss_with_dropout_on_stands_in() -> None:
    controller = ad.SlopeController()
    log = [signals(10 * (n + 1), 2 - 0.01 * n, clean_loss=1.5 - 0.05 * n) for n in range(6)]
    without = [{("train_loss" if k == "clean_loss" else k): v for k, v in s.items() if k != "train_loss"} for s in log]
    start = controller.init({"a": 0.3})
    ends = [list(accumulate(seen, controller.update, initial=start))[-1] for seen in (log, without)]
    assert ends[0].rates == ends[1].rates != {"a": 0.3}


def test_a_slope_is_never_of_two_curves() -> None:
    controller = ad.SlopeController()
    log = [signals(10 * (n + 1), 2 - 0.01 * n, clean_loss=1.5 - 0.05 * n) for n in range(8)]
    log[:3] = [{name: value for name, value in seen.items() if name != "clean_loss"} for seen in log[:3]]
    state = list(accumulate(log, controller.update, initial=controller.init({"a": 0.3})))[-1]
    assert state.rates == {"a": 0.3}
    assert len(state.val_losses) == 5


def test_without_any_training_loss_nothing_but_validation_counts() -> None:
    controller = ad.RewindController()
    log = [{"val_loss": v, "step": 10.0 * (n + 1), "total_steps": 400.0} for n, v in enumerate((2, 1, *[1.5] * 9))]
    states = list(accumulate(log, controller.update, initial=controller.init({"a": 0.3})))
    assert any(state.rewind for state in states)
    assert states[-1].rates["a"] < 0.3


def test_levels_that_cannot_be_compared_leave_it_to_whether_training_went_on() -> None:
    seen = {"val_loss": 1.0, "clean_drop_z": 3.0}
    assert overfits(1.0, seen)
    assert not overfits(1.0, seen | {"clean_drop_z": 1.0})
    assert not overfits(1.0, seen | {"gap_z": 1.0})


def test_where_no_error_is_known_a_training_loss_below_half_of_validations_is_overfitting() -> None:
    seen = {"val_loss": 1.0, "clean_loss": 0.1}
    assert overfits(1.0, seen | {"train_loss": 0.4})
    assert not overfits(1.0, seen | {"train_loss": 0.6})
    assert not overfits(-1.0, seen | {"val_loss": -1.0, "train_loss": -3.0})  # of a loss below 0 there is no half
    assert not overfits(1.0, seen)


def one_loop(log: list[dict[str, float]], start: float) -> list[tuple[float, bool, bool, bool]]:
    """The combined rule as one imperative loop: (p, improved, rewind, restart) for each validation."""
    low, high = logit(0.001), logit(0.9)
    th, best, sbest, tb, age, off, fails, restarts, since = logit(start), None, None, 0, 0, 0, 0, 0, 0
    th_s, th_b, window, hist, pace, before, last_step, out = th, th, [], [], [], None, 0, []
    harder = 0.0
    for given in log:
        error = (given["val_loss"] - given["clean_loss"]) / given["gap_z"]
        harder = max(harder, -given["gap_z"] * error if given["gap_z"] < -2 else 0.0)
        s = given | {name: given[name] - harder for name in ("train_loss", "clean_loss")}
        s["gap_z"] = (s["val_loss"] - s["clean_loss"]) / error
        t, v, c, tr = int(s["step"]), s["val_loss"], s["clean_loss"], s["train_loss"]
        ev, last_step, since = t - last_step, t, since + 1
        reference = (v + (before if before is not None else v)) / 2
        before_move, before = th, v
        window = [*window, v][-3:]
        if len(window) == 3 and (sbest is None or sum(window) / 3 < sbest):
            sbest, tb = sum(window) / 3, t
        improved = best is None or v < best
        if improved:
            best, th_s, age, fails = v, th, t - off, 0
        poor = s["trivial_loss"] * 0.95
        wait = max(5 * ev, age / 2) * 2**fails
        rewind = not improved and t - tb >= max(5 * ev, min(wait, (TOTAL - tb) / 3))
        restart = not rewind and tr > 1.1 * s["trivial_loss"] and best >= poor and since >= 2 and restarts < 6
        if rewind:
            fell = s["clean_drop_z"] > 2 or 0 < 2 * max(tr, 1e-9) < reference
            over = tr <= reference and s["gap_z"] > 2 and fell
            if over:
                lost = (sum(window) / len(window) - best) / (s["trivial_loss"] - best)
                weak = max(th_s, th_b) if fails else th_s
                if best < poor:
                    weak = max(min(weak + min(1.5, max(0.5, 10 * lost)), high), logit(0.2))
                th = max(th, weak)
            else:
                th = min(th, th_s - 0.5**fails)
            th = th_b = max(low, min(high, th)) if th != before_move else th
            tb, off, fails, window, hist, pace = t, t - age, fails + 1, [], [], []
        elif restart:
            th = th_b = max(low, min(high, th - 1))
            tb, off, window, hist, pace, since, restarts = t, t, [], [], [], 0, restarts + 1
            improved = False
        else:
            hist = [*hist, (v, c)][-6:]
            share = (t - pace[-1]) / TOTAL if pace else None
            if len(hist) == 6 and share is not None:
                vs, cs = zip(*hist, strict=True)
                dv, dc = (-linear_regression(range(6), losses).slope for losses in (vs, cs))
                tiny = 0.001 * max(map(abs, vs))
                u = -1.0 if dv < 0 and dc < -tiny else 0.0
                if dc > tiny:
                    u = max(-1.0, min(1.0, ((1 - t / TOTAL) * dc - dv) / (0.3 * dc)))
                if v <= c or min(vs) >= poor:
                    u = min(u, 0.0)
                th += 6 * u * share
                if u > 0.5:
                    th = max(th, logit(0.2))
            if share is not None and tr > reference:
                th = max(min(th, high), low) - 6 * share
            pace = [t]
        th = max(low, min(high, th)) if th != before_move else th
        out.append((p_of(th), improved, rewind, restart))
    return out


@pytest.mark.parametrize("seed", range(30))
def test_it_is_the_rule_of_the_one_loop(seed: int) -> None:
    draw = random.Random(seed)
    log, v, c, spread = [], 2.0, 2.0, draw.uniform(0.01, 0.1)
    for n in range(1, 61):
        v, c = abs(v + draw.gauss(-0.02 if n < 20 else 0.02, spread)), abs(c + draw.gauss(-0.03, spread))
        z: dict[str, Any] = {"gap_z": (v - c) / draw.uniform(0.02, 0.2), "clean_drop_z": draw.uniform(0, 6)}
        noise = draw.choice([0.5, 1.0, 1.0, 3.0])
        log.append(signals(15 * n, v, clean_loss=c, train_loss=c * noise, trivial_loss=2.2, **z))
    controller, start = ad.RewindController(), draw.choice([0.05, 0.3, 0.8])
    states = list(accumulate(log, controller.update, initial=controller.init({"a": start})))[1:]
    expected = one_loop(log, start)
    assert [(s.improved, s.rewind, s.restart) for s in states] == [row[1:] for row in expected]
    assert [s.rates["a"] for s in states] == pytest.approx([row[0] for row in expected], rel=1e-9)


def test_the_random_logs_reach_every_branch() -> None:
    rewinds = restarts = 0
    for seed in range(30):
        draw = random.Random(seed)
        log = [
            signals(
                15 * n,
                draw.uniform(1, 3),
                clean_loss=draw.uniform(1, 3),
                gap_z=1.0,
                train_loss=draw.uniform(1, 5),
                trivial_loss=1.0,
            )
            for n in range(1, 61)
        ]
        rows = one_loop(log, 0.3)
        rewinds, restarts = rewinds + sum(r[2] for r in rows), restarts + sum(r[3] for r in rows)
    assert rewinds > 10
    assert restarts > 10


def test_training_data_that_is_harder_is_not_underfitting() -> None:
    # Three in ten training labels are wrong: the training loss stays above validation's, and noise is not to blame.
    controller, log = ad.RewindController(), []
    for n in range(1, 30):
        wrong = {
            "val_loss": 0.9 - 0.01 * n,
            "clean_loss": 1.5 - 0.01 * n,
            "gap_z": -20.0,
            "train_loss": 1.40 - 0.01 * n,
        }
        log.append(signals(10 * n, **wrong))
    states = list(accumulate(log, controller.update, initial=controller.init({"a": 0.3})))
    assert states[-1].harder == pytest.approx(0.6)
    assert "underfitting" not in "".join(state.reason for state in states)
    misled = ad.BalanceController()
    assert list(accumulate(log, misled.update, initial=misled.init({"a": 0.3})))[-1].rates["a"] < 0.2
