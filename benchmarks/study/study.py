"""A study is data: a YAML file of tasks, methods and seeds, checked completely before anything is trained.

    {tasks: {mnist-mlp: {epochs: 10}}, methods: {none: , standard-0.2: {kind: standard, p: 0.2}}, seeds: [0, 1]}

Each task and method has a name, a kind and settings. The kind is the name, unless ``kind`` gives another one. A kind is
a function; its keyword arguments are the settings. A list of values stands for each of its values.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

__all__ = ["Choice", "Kinds", "Study", "expand_lists", "read_study"]

Kinds = Mapping[str, Callable[..., Any]]
"""Functions by name; each takes its settings by keyword, and every setting has a default."""

_KEYS = ("tasks", "methods", "seeds")


@dataclass(frozen=True)
class Choice:
    """A task or a method of a study.

    Args:
        name: its name in the study.
        kind: the name of the function that makes it.
        settings: the arguments of that function, defaults included.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]

    def make(self, kinds: Kinds) -> Any:
        """Return the task or method; ``kinds`` has its function."""
        return kinds[self.kind](**self.settings)

    @property
    def content(self) -> str:
        """Kind and settings as JSON with sorted keys; they decide the result, the name does not."""
        return json.dumps({"kind": self.kind, **self.settings}, sort_keys=True)


@dataclass(frozen=True)
class Study:
    """All combinations of tasks, methods and seeds."""

    name: str
    tasks: tuple[Choice, ...]
    methods: tuple[Choice, ...]
    seeds: tuple[int, ...]


def read_study(file: Path, tasks: Kinds, methods: Kinds) -> Study:
    """Return the study in ``file``, named after it.

    Raises:
        FileNotFoundError: there is no such file; the message lists the studies beside it.
        ValueError, TypeError: it is not YAML, or a key, kind, setting, value or seed is wrong.
    """
    if not file.is_file():
        known = ", ".join(sorted(other.stem for other in file.parent.glob("*.yaml"))) or "none"
        raise FileNotFoundError(f"no study {str(file)!r}; there are {known}")
    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or set(content) != set(_KEYS):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else repr(content)
        raise ValueError(f"{file}: the keys have to be {', '.join(_KEYS)}, but are {found}")
    try:
        chosen = _read_choices(content["tasks"], tasks, "tasks"), _read_choices(content["methods"], methods, "methods")
        return Study(file.stem, *chosen, seeds=_read_seeds(content["seeds"]))
    except (ValueError, TypeError) as error:
        raise type(error)(f"{file}: {error}") from None


def expand_lists(name: str, given: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a name and settings for every combination of the values in lists; without a list, just what was given.

    >>> for each in expand_lists("input", {"kind": "placed", "input": [0.1, 0.2]}): print(*each)
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


def _read_choices(given: Any, kinds: Kinds, key: str) -> tuple[Choice, ...]:
    if not isinstance(given, dict) or not given:
        raise ValueError(f"{key} has to name at least one of {', '.join(kinds)}, but got {given!r}")
    what = key.removesuffix("s")
    return tuple(
        _read_choice(each, values, kinds, what)
        for name, settings in given.items()
        for each, values in expand_lists(str(name), _with_kind(str(name), settings or {}, what))
    )


def _with_kind(name: str, given: Any, what: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise TypeError(f"the settings of {what} {name!r} have to be a mapping such as {{p: 0.5}}, but got {given!r}")
    return {"kind": name, **given}


def _read_choice(name: str, given: Mapping[str, Any], kinds: Kinds, what: str) -> Choice:
    kind = given["kind"]
    if kind not in kinds:
        raise ValueError(f"no {what} {kind!r}; there are {', '.join(kinds)}")
    settings = _find_defaults(kinds[kind])
    for key, value in given.items():
        if key == "kind":
            continue
        if key not in settings:
            raise ValueError(f"{what} {name!r} has no setting {key!r}; there are {', '.join(settings) or 'none'}")
        settings[key] = _convert(settings[key], value, f"{key} of {what} {name!r}")
    choice = Choice(name, kind, settings)
    choice.make(kinds)  # raises if a setting is out of range
    return choice


def _find_defaults(kind: Callable[..., Any]) -> dict[str, Any]:
    fixed = getattr(kind, "keywords", {})  # the arguments that a partial has set
    parameters = inspect.signature(kind).parameters.items()
    return {name: parameter.default for name, parameter in parameters if name not in fixed}


def _convert(default: Any, value: Any, what: str) -> Any:
    """Return ``value`` in the type of ``default``; only an integer may stand for a float."""
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise TypeError(f"{what} has to be of type {type(default).__name__}, but got {value!r}")
    return value


def _read_seeds(given: Any) -> tuple[int, ...]:
    if not isinstance(given, list) or not given or any(type(seed) is not int or seed < 0 for seed in given):
        raise ValueError(f"seeds has to be a list of whole numbers from 0 on, but got {given!r}")
    return tuple(dict.fromkeys(given))
