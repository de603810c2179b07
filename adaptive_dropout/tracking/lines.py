"""Reading lines of JSON that someone else may have written: bounded in length and depth, with numbers in their range.

Whatever is wrong with a line is a ValueError or TypeError of one line that names the value.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from adaptive_dropout.checks import check_count, check_p
from adaptive_dropout.tracking.shown import shown

__all__ = [
    "check_kinds",
    "check_names",
    "check_p_of",
    "check_rates",
    "check_step",
    "parse",
    "read_lines",
    "read_signals",
]

LONGEST = 2**23
"""Characters in a line; a decision on ten thousand layers takes a fifth of it."""

DEEPEST = 50
LAST_STEP = 2**53  # up to here a float, as figures need it, is exact
LARGEST_INT = 2**63


def read_lines(file: Path) -> Iterator[str]:
    """Yield the lines of ``file``; one longer than `LONGEST` is the last, cut off where `parse` refuses it."""
    with file.open(encoding="utf-8", errors="replace") as text:
        while line := text.readline(LONGEST + 1):
            yield line
            if len(line) > LONGEST:
                return


def parse(line: str) -> Any:
    """Return what ``line`` holds.

    Raises:
        ValueError: it is no JSON, or longer than `LONGEST`, or nested deeper than `DEEPEST`.
    """
    if len(line) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    try:
        value = _decode(line)
        deep = line.count("[") + line.count("{") > DEEPEST and _is_deep(value)
    except RecursionError:
        deep = True
    if deep:
        raise ValueError(f"it is nested deeper than {DEEPEST}")
    return value


def check_kinds(entries: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    """Raise a TypeError where an entry that is there is not of its kind."""
    for name, kind in kinds.items():
        if name in entries and not isinstance(entries[name], kind):
            raise TypeError(f"{name} has to be a {kind.__name__}, but got {shown(repr(entries[name]), 80)}")


def check_names(entries: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise a ValueError where a decision has an entry that is not one of the ``known``."""
    if unknown := [name for name in entries if name not in known]:
        raise ValueError(f"a decision has no {shown(repr(unknown[0]), 80)}")


def check_step(step: object) -> None:
    """Raise where ``step`` is not a count of optimizer steps."""
    if check_count(step, "step", least=0) > LAST_STEP:
        raise ValueError(f"step has to be at most {LAST_STEP}, but is larger")


def check_rates(rates: object, name: str) -> None:
    """Raise where ``rates`` is not ``{name: p}``, with one rate at least and each p in [0, 1]."""
    if not isinstance(rates, Mapping) or not rates:
        raise TypeError(f"{name} has to be a mapping with one rate at least, but got {shown(repr(rates), 80)}")
    for rate, p in rates.items():
        check_p_of(p, f"{name}[{shown(repr(rate), 80)}]")


def check_p_of(p: object, name: str) -> None:
    """Raise where ``p`` is not a number in [0, 1]."""
    check_p(_small(p), name)


def read_signals(stored: object) -> dict[str, float]:
    """Return the ``stored`` signals, ``{name: number}``; raise where they are anything else.

    A number may be stored as text, as NaN is.
    """
    if not isinstance(stored, Mapping):
        raise TypeError(f"signals has to be a mapping, but got {shown(repr(stored), 80)}")
    return {name: value if type(value) is float else _read_number(value, name) for name, value in stored.items()}


def _read_number(value: object, name: object) -> float:
    if type(value) is int and abs(value) < LARGEST_INT:
        return value
    value = _small(value)
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    elif isinstance(value, (int, float)):
        return value
    place = f"signals[{shown(repr(name), 80)}]"
    raise ValueError(f"{place} has to be a number, but got {shown(repr(value), 80)}")


def _small(value: object) -> object:
    # An integer of a thousand digits has no float, and Python may refuse to spell it out.
    return value if not isinstance(value, int) or abs(value) < LARGEST_INT else "an integer of too many digits"


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [part for whole in level if isinstance(whole, (dict, list)) for part in _parts(whole)]
        if not level:
            return False
    return True


def _parts(whole: dict[str, Any] | list[Any]) -> Iterator[Any]:
    return iter(whole.values() if isinstance(whole, dict) else whole)
