"""A run summed up: a few numbers, and its decisions as a table."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from adaptive_dropout.tracking.decisions import Decision
from adaptive_dropout.tracking.names import RATE, SUMMARY, metric_keys
from adaptive_dropout.tracking.run import Run
from adaptive_dropout.tracking.shown import shown
from adaptive_dropout.tracking.telling import telling

__all__ = ["decisions_table", "run_summary"]

ROWS, RATES = 10_000, 100  # of the table
FLAGS = ("improved", "rewind", "restart")


def run_summary(run: Run, cost_ratio: float) -> dict[str, float]:
    """Return ``{"dropout_summary/<name>": number}``: final rates and their mean, best validation, counts and cost.

    Args:
        run: the run and its decisions.
        cost_ratio: the time that the run took, divided by the time that it would have taken without the control.
    """
    final, decisions = run.final_rates(), run.decisions
    numbers: dict[str, float | None] = {
        "rate": fmean(final.values()),
        "decisions": len(decisions),
        "rewinds": len(run.rewinds()),
        "restarts": sum(decision.restart for decision in decisions),
        "gap": decisions[-1].gap if decisions else None,
        "cost_ratio": cost_ratio,
    }
    best = run.best()
    if best is not None:
        numbers |= {"best_val_loss": best.signals["val_loss"], "best_step": best.step}
    keys = metric_keys(f"{SUMMARY}/final", final)
    known = {f"{SUMMARY}/{name}": number for name, number in numbers.items() if number is not None}
    return known | {keys[name]: p for name, p in final.items()}


def decisions_table(run: Run) -> tuple[list[str], list[list[Any]]]:
    """Return columns and rows: step, reason, flags and gap, the signals by name, each rate before and after.

    Of more than a hundred rates there are the lowest and the highest, and of more than ten thousand decisions those
    that `telling` chooses: W&B shows no more rows.
    """
    fixed = ["step", "reason", *FLAGS, "gap"]
    every = list(run.decisions)
    decisions = [every[place] for place in telling(every, ROWS)]
    names = {name for decision in decisions for name in decision.signals} - {*fixed, RATE}
    signals = sorted(name for name in names if not name.startswith(f"{RATE}/"))  # the rates have columns of their own
    rates = list(run.rates) if len(run.rates) <= RATES else ["lowest", "highest"]
    columns = [*fixed, *signals, *(f"{when}/{name}" for name in rates for when in ("before", "after"))]
    columns = [shown(column) for column in columns]
    return columns, [_row(decision, signals, list(run.rates)) for decision in decisions]


def _row(decision: Decision, signals: list[str], names: list[str]) -> list[Any]:
    flags = [getattr(decision, flag) for flag in FLAGS]
    moved = (decision.before, decision.after)
    if len(names) <= RATES:
        rates = [rates[name] for name in names for rates in moved]
    else:
        rates = [end(rates.values()) for end in (min, max) for rates in moved]
    return [
        decision.step, shown(decision.reason), *flags, decision.gap,
        *(decision.signals.get(name) for name in signals), *rates,
    ]  # fmt: skip
