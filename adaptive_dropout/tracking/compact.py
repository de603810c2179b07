"""Rates as a run's file holds them: what moved, or one number for all, instead of every rate at every decision.

A thousand layers that share a rate take the space of one, and those that stay take none. All forms are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adaptive_dropout.tracking.lines import check_p_of, check_rates

__all__ = ["compact", "expand"]


def compact(rates: Mapping[str, float], known: Mapping[str, float]) -> Any:
    """Return the shortest of: None if ``rates`` are those ``known``, one p, what moved by name, all in their order.

    >>> known = {"a": 0.1, "b": 0.1, "c": 0.2}
    >>> compact({"a": 0.3, "b": 0.3, "c": 0.3}, known), compact({"a": 0.1, "b": 0.5, "c": 0.2}, known)
    (0.3, {'b': 0.5})
    >>> compact({"a": 0.5, "b": 0.6, "c": 0.7}, known)
    [0.5, 0.6, 0.7]
    """
    if rates == known:
        return None
    if rates.keys() != known.keys():
        return dict(rates)
    if len(set(rates.values())) == 1:
        return next(iter(rates.values()))
    moved = {name: p for name, p in rates.items() if p != known[name]}
    # A name is longer than a number.
    return moved if 3 * len(moved) <= len(rates) else [rates[name] for name in known]


def expand(stored: Any, known: Mapping[str, float], name: str) -> Mapping[str, float]:
    """Return the rates that `compact` stored as ``name``, or all of them by name as earlier versions stored them.

    Raises:
        TypeError, ValueError: ``stored`` has another form, a p out of its range, or a rate that is not ``known``.
    """
    if stored is None:
        return known
    if not isinstance(stored, (list, dict)):
        check_p_of(stored, name)
        return dict.fromkeys(known, stored)
    if isinstance(stored, list):
        if len(stored) != len(known):
            raise ValueError(f"{name} has to have {len(known)} rates, but has {len(stored)}")
        stored = dict(zip(known, stored, strict=True))
    check_rates(stored, name)
    if not stored.keys() <= known.keys():
        raise ValueError(f"it has other rates than the {len(known)} that the run began with")
    return {**known, **stored}
