"""Several choices in one line of a study: a setting that is a list stands for each of its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

__all__ = ["spread"]


def spread(name: str, given: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a name and settings for every combination of the values in lists; what holds no list, as it is.

    >>> for each in spread("input", {"kind": "placed", "input": [0.1, 0.2]}): print(*each)
    input, input 0.1 {'kind': 'placed', 'input': 0.1}
    input, input 0.2 {'kind': 'placed', 'input': 0.2}

    Raises:
        ValueError: a list is empty.
    """
    lists = {key: value for key, value in given.items() if isinstance(value, list)}
    for key, values in lists.items():
        if not values:
            raise ValueError(f"{key} of {name!r} has to hold at least one value, but got []")
    for combination in product(*lists.values()):
        chosen = dict(zip(lists, combination, strict=True))
        yield ", ".join([name, *(f"{key} {value}" for key, value in chosen.items())]), {**given, **chosen}
