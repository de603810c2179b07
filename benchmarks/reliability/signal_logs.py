"""Signals of a run, as plausible or as broken as chance has it: missing, repeated, extreme, of wrong types."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["signal_log"]

NUMBERS = (
    math.nan, math.inf, -math.inf, 1e308, -1e308, 1.7976931348623157e308, 5e-324, -5e-324, 0.0, -0.0, -1.0, 1.0, 1e16,
    2**53, 2**63, -(2**63), 10**400, 0.5, 3.7,
)  # fmt: skip
OTHERS = (None, "0.5", "loss", "1e999", b"1", [1.0], {}, (), True, 1j)


def signal_log(rng: random.Random, rates: Sequence[str], updates: int) -> Iterator[dict[str, Any]]:
    """Yield the signals of ``updates`` validations; how many of them are broken differs from log to log."""
    broken, repeated, typed = (rng.choice(chances) for chances in ((0.0, 0.01, 0.1, 0.5), (0.0, 0.3), (0.0, 0.05)))
    total, interval = rng.choice([updates, 50 * updates, 3, 0]), rng.choice([1, 1, 50, 1000])
    scale, speed = rng.choice([1e-3, 1.0, 1e300]), rng.choice([0.0, 0.02, 0.2])
    signals: dict[str, Any] = {}
    for number in range(updates):
        if rng.random() >= repeated:
            signals = _plausible(rng, rates, scale, math.exp(-speed * number), rng.uniform(0.0, 2.0))
        signals = signals | {"step": interval * (number + 1), "total_steps": total}
        yield _spoil(rng, signals, broken, typed)


def _plausible(rng: random.Random, rates: Sequence[str], scale: float, fallen: float, rises: float) -> dict[str, Any]:
    train = scale * (fallen + 0.1 * rng.random())
    val = scale * (fallen + rises * (1 - fallen) + 0.1 * rng.random())
    levels = {"train_loss": train, "clean_loss": train * rng.uniform(0.5, 1.5), "val_loss": val, "trivial_loss": scale}
    scores = {name: rng.gauss(0.0, 4.0) for name in ("gap_z", "clean_drop_z")}
    gradients = {
        f"{kind}/{name}": rng.gauss(0.0, 10.0 ** rng.randint(-8, 0))
        for kind in ("hypergradient", "response")
        for name in rates
    }
    return levels | scores | gradients | {"epoch": 0}


def _spoil(rng: random.Random, signals: dict[str, Any], broken: float, typed: float) -> dict[str, Any]:
    spoilt = {}
    for name, value in signals.items():
        if rng.random() >= broken:
            spoilt[name] = value
        elif rng.random() < typed:
            spoilt[name] = rng.choice(OTHERS)
        elif rng.random() < 0.8:
            spoilt[name] = rng.choice(NUMBERS)
    return spoilt
