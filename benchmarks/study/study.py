"""A study is data: a YAML file of tasks, methods and seeds, checked from end to end before anything is trained.

    {tasks: {mnist-mlp: {epochs: 10}}, methods: {none: , standard-0.2: {kind: standard, p: 0.2}}, seeds: [0, 1]}

Each task and method has a name and settings. It is of the kind of that name, unless ``kind`` says another; a kind is a
function whose keyword arguments, with their defaults, are the settings. A list of values stands for each of them.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from benchmarks.study.grid import spread

__all__ = ["Choice", "Kinds", "Study", "read_study"]

Kinds = Mapping[str, Callable[..., Any]]
"""Functions by name; each takes its settings by keyword, and every setting has a default."""

_KEYS = ("tasks", "methods", "seeds")


@dataclass(frozen=True)
class Choice:
    """A task or a method of a study.

    Args:
        name: what the study calls it.
        kind: the name of what makes it.
        settings: all of them, defaults included.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]

    def made(self, kinds: Kinds) -> Any:
        """Return what ``kinds`` make of it."""
        return kinds[self.kind](**self.settings)

    @property
    def content(self) -> str:
        """Kind and settings as JSON with sorted keys: what decides a result. The name does not."""
        return json.dumps({"kind": self.kind, **self.settings}, sort_keys=True)


@dataclass(frozen=True)
class Study:
    """Every task with every method and every seed."""

    name: str
    tasks: tuple[Choice, ...]
    methods: tuple[Choice, ...]
    seeds: tuple[int, ...]


def read_study(file: Path, tasks: Kinds, methods: Kinds) -> Study:
    """Return the study in ``file``, named after it.

    Raises:
        FileNotFoundError: there is no such file; the message lists the studies beside it.
        ValueError, TypeError: it is no YAML, or a key, kind, setting, value or seed is not what it has to be.
    """
    if not file.is_file():
        known = ", ".join(sorted(other.stem for other in file.parent.glob("*.yaml"))) or "none"
        raise FileNotFoundError(f"no study {str(file)!r}; there are {known}")
    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or set(content) != set(_KEYS):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else repr(content)
        raise ValueError(f"{file}: the keys have to be {', '.join(_KEYS)}, but are {found}")
    try:
        chosen = _choices(content["tasks"], tasks, "tasks"), _choices(content["methods"], methods, "methods")
        return Study(file.stem, *chosen, seeds=_seeds(content["seeds"]))
    except (ValueError, TypeError) as error:
        raise type(error)(f"{file}: {error}") from None


def _choices(given: Any, kinds: Kinds, key: str) -> tuple[Choice, ...]:
    if not isinstance(given, dict) or not given:
        raise ValueError(f"{key} has to name at least one of {', '.join(kinds)}, but got {given!r}")
    what = key.removesuffix("s")
    return tuple(
        _choice(each, values, kinds, what)
        for name, settings in given.items()
        for each, values in spread(str(name), _with_kind(str(name), settings or {}, what))
    )


def _with_kind(name: str, given: Any, what: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise TypeError(f"the settings of {what} {name!r} have to be a mapping such as {{p: 0.5}}, but got {given!r}")
    return {"kind": name, **given}


def _choice(name: str, given: Mapping[str, Any], kinds: Kinds, what: str) -> Choice:
    kind = given["kind"]
    if kind not in kinds:
        raise ValueError(f"no {what} {kind!r}; there are {', '.join(kinds)}")
    settings = _defaults(kinds[kind])
    for key, value in given.items():
        if key == "kind":
            continue
        if key not in settings:
            raise ValueError(f"{what} {name!r} has no setting {key!r}; there are {', '.join(settings) or 'none'}")
        settings[key] = _like(settings[key], value, f"{key} of {what} {name!r}")
    choice = Choice(name, kind, settings)
    choice.made(kinds)  # raises what is out of range
    return choice


def _defaults(kind: Callable[..., Any]) -> dict[str, Any]:
    fixed = getattr(kind, "keywords", {})  # what a partial has settled already
    parameters = inspect.signature(kind).parameters.items()
    return {name: parameter.default for name, parameter in parameters if name not in fixed}


def _like(default: Any, value: Any, what: str) -> Any:
    """Return ``value`` in the type of ``default``: a whole number may stand for a float, nothing else for another."""
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise TypeError(f"{what} has to be of type {type(default).__name__}, but got {value!r}")
    return value


def _seeds(given: Any) -> tuple[int, ...]:
    if not isinstance(given, list) or not given or any(type(seed) is not int or seed < 0 for seed in given):
        raise ValueError(f"seeds has to be a list of whole numbers from 0 on, but got {given!r}")
    return tuple(dict.fromkeys(given))
