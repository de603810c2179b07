"""Ways to spoil a file that was good: its bytes, or the values in it."""

from __future__ import annotations

import copy
import math
import random
import re
from collections.abc import Callable
from typing import Any

__all__ = ["HARMFUL", "spoil", "spoil_tree"]

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
WORD = re.compile(rb'"[^"]{0,200}"|\b[A-Za-z_]{3,}\b')
NUMBERS = (b"NaN", b"1e999", b"-1", b"9223372036854775808", b"0", b"-0.0", b"1e308", b"Infinity", b".nan", b"9" * 5000)
WORDS = (b"null", b"true", b"[]", b"{}", b'""', b'"\\u202e\\u0000"', b'"' + b"x" * 10_000 + b'"', b"\x00", b"~", b"*a")
LONG_LINE = 100 * 2**20
DEEP = 10_000
HARMFUL = (
    None, True, False, -1, 0, 2**53 + 1, 2**63, -(2**63), 10**400, math.nan, math.inf, -math.inf, 1e308, 5e-324, "",
    "1.0", "\x1b[2J\u202e\ud800", "x" * 10_000, [], {}, [[]], {"class_path": "os.system", "init_args": {}}, b"bytes",
    1j,
)  # fmt: skip
"""Values to put where others belong."""


def spoil(rng: random.Random, data: bytes, long: float = 0.001) -> bytes:
    """Return ``data`` spoilt in one to three ways; a share ``long`` gets a line of 100 MB instead."""
    if rng.random() < long:
        return _insert(rng, data, rng.choice([b"x", b"1", b" ", b"[", b"\x00"]) * LONG_LINE)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        data = rng.choice(WAYS)(rng, data)
    return data


def spoil_tree(rng: random.Random, value: Any, harmful: tuple[Any, ...] = HARMFUL) -> Any:
    """Return a copy of ``value``, nested dicts and lists, with one to three values in it changed, gone, or new."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        value = _changed(rng, value, harmful)
    return value


def _changed(rng: random.Random, value: Any, harmful: tuple[Any, ...]) -> Any:
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.02:
        return _deep(rng) if rng.random() < 0.02 else _one_of(rng, harmful)
    key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    chance = rng.random()
    if chance < 0.7:  # go on inside
        value[key] = _changed(rng, value[key], harmful)
    elif chance < 0.8:
        del value[key]
    elif isinstance(value, dict):
        value[rng.choice(["", "rates", "step", "id", "\u202e", *map(str, value)])] = _one_of(rng, harmful)
    else:
        value.insert(key, _one_of(rng, (*harmful, value[key])))
    return value


def _one_of(rng: random.Random, values: tuple[Any, ...]) -> Any:
    # A copy: what is spoilt further must not be what other files are spoilt with.
    return copy.deepcopy(rng.choice(values))


def _deep(rng: random.Random) -> Any:
    value: Any = 1.0
    for _ in range(rng.choice([60, 300])):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def _insert(rng: random.Random, data: bytes, more: bytes) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + more + data[place:]


def _slice(rng: random.Random, data: bytes) -> tuple[int, int]:
    start, length = rng.randint(0, len(data)), rng.choice([1, 2, 8, 100, 1000])
    return start, min(len(data), start + length)


def _flip(rng: random.Random, data: bytes) -> bytes:
    spoilt = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8, 64]) if data else 0):
        # The beginning says what the rest is.
        spoilt[rng.randrange(min(len(data), rng.choice([64, 512, len(data)])))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def _splice(rng: random.Random, data: bytes) -> bytes:
    (start, end), (other, stop) = _slice(rng, data), _slice(rng, data)
    return data[:start] + data[other:stop] + data[end:]


def _drop(rng: random.Random, data: bytes) -> bytes:
    start, end = _slice(rng, data)
    return data[:start] + data[end:]


def _noise(rng: random.Random, data: bytes) -> bytes:
    start, end = _slice(rng, data)
    return data[:start] + rng.randbytes(end - start) + data[end:]


def _zeros(rng: random.Random, data: bytes) -> bytes:
    start, end = _slice(rng, data)
    return data[:start] + bytes(end - start) + data[end:]


def _lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    rng.shuffle(lines)
    return b"\n".join(lines[: rng.randint(1, len(lines))])


def _nest(rng: random.Random, data: bytes) -> bytes:
    opening = rng.choice([b"[", b'{"a":', b"- ", b"(", b"{a: "])
    return _insert(rng, data, opening * DEEP)


def _replace(pattern: re.Pattern[bytes], values: tuple[bytes, ...]) -> Callable[[random.Random, bytes], bytes]:
    def replace(rng: random.Random, data: bytes) -> bytes:
        found = list(pattern.finditer(data, rng.randint(0, len(data))))[:50] or list(pattern.finditer(data))[:50]
        if not found:
            return data
        start, end = rng.choice(found).span()
        return data[:start] + rng.choice(values) + data[end:]

    return replace


WAYS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    lambda rng, data: data[: rng.randint(0, len(data))],
    lambda rng, data: b"" if rng.random() < 0.1 else data[rng.randint(0, len(data)) :],
    _flip, _flip, _splice, _drop, _noise, _zeros, _lines, _nest, _replace(NUMBER, NUMBERS), _replace(NUMBER, NUMBERS),
    _replace(WORD, WORDS),
)  # fmt: skip
