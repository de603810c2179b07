"""Rules with random settings, made by what their fields are declared to hold: a new rule is covered once exported."""

from __future__ import annotations

import random
from dataclasses import fields
from typing import Any

from adaptive_dropout.controllers import Controller
from adaptive_dropout.controllers.serialization import public_controllers

__all__ = ["rule_of"]

DEEPEST = 3  # rules in each other
SETTINGS = {
    "int": (0, 1, 2, 3, 5, 1000),
    "float": (0.0, 1e-300, 0.01, 0.1, 0.3, 0.9, 1.0, 6.0, 1e6, 1e308),
    "float | str": ("auto", "model", 0.0, 0.3, 1.0),
}
"""Values to draw from, by how a field is declared; some are refused, and then others are drawn."""


def rule_of(kind: type[Controller], rng: random.Random, depth: int = 0) -> Controller:
    """Return a rule of ``kind``, with inner rules where it takes some."""
    while True:
        settings = {each.name: _setting(str(each.type), rng, depth) for each in fields(kind) if each.init}
        try:
            return kind(**settings)
        except ValueError:  # low above high, a span of 0
            continue


def _setting(declared: str, rng: random.Random, depth: int) -> Any:
    if declared in SETTINGS:
        return rng.choice(SETTINGS[declared])
    inner = [rule_of(_kind(rng, depth + 1), rng, depth + 1) for _ in range(rng.randint(1, 3))]
    if declared == "Controller":
        return inner[0]
    if declared == "Sequence[Controller]":
        return inner
    if declared == "Mapping[str, Controller]":
        return dict(zip(["*", "**", "***"], inner[:1], strict=False))
    raise TypeError(f"no values for a field declared {declared}; add some to SETTINGS")


def _kind(rng: random.Random, depth: int) -> type[Controller]:
    kinds = list(public_controllers().values())
    simple = [kind for kind in kinds if not any("Controller" in str(each.type) for each in fields(kind))]
    return rng.choice(simple if depth == DEEPEST else kinds)
