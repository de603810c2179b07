"""Controllers as plain dictionaries and back, in the form that configurations have: a class path and its arguments."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import adaptive_dropout
from adaptive_dropout.controllers import Controller

__all__ = ["controller_from_dict", "controller_to_dict"]


def controller_to_dict(controller: Controller) -> dict[str, Any]:
    """Return ``{"class_path": ..., "init_args": {...}}`` in JSON types, controllers inside of it too.

    A setting of no JSON type is stored as ``{"repr": "..."}``, to be read by people.

    >>> from adaptive_dropout.controllers import Clip, FixedController
    >>> controller_to_dict(Clip(FixedController(), high=0.5))["init_args"]["controller"]
    {'class_path': 'adaptive_dropout.FixedController', 'init_args': {}}
    """
    settings = {entry.name: _plain(getattr(controller, entry.name)) for entry in fields(controller) if entry.init}
    return {"class_path": _path(type(controller)), "init_args": settings}


def controller_from_dict(data: Mapping[str, Any]) -> Controller:
    """Return the controller that `controller_to_dict` stored.

    Raises:
        ValueError: there is no such controller here, or one of its settings could not be stored.
    """
    path = str(data["class_path"])
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        kind = None
    if not (isinstance(kind, type) and issubclass(kind, Controller)):
        raise ValueError(f"the run's controller {path!r} cannot be imported here; give another one")
    settings = {name: _rebuilt(value, f"{path}.{name}") for name, value in data["init_args"].items()}
    return kind(**settings)


def _path(kind: type) -> str:
    public = getattr(adaptive_dropout, kind.__name__, None) is kind
    return f"adaptive_dropout.{kind.__name__}" if public else f"{kind.__module__}.{kind.__qualname__}"


def _plain(value: Any) -> Any:
    if isinstance(value, Controller):
        return controller_to_dict(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return {"repr": repr(value)}


def _rebuilt(value: Any, path: str) -> Any:
    if isinstance(value, list):
        return tuple(_rebuilt(item, f"{path}[{number}]") for number, item in enumerate(value))
    if not isinstance(value, Mapping):
        return value
    if value.keys() == {"class_path", "init_args"}:
        return controller_from_dict(value)
    if value.keys() == {"repr"}:
        raise ValueError(f"the setting {path} was stored as {value['repr']}, from which it cannot be made again")
    return {key: _rebuilt(item, f"{path}[{key!r}]") for key, item in value.items()}
