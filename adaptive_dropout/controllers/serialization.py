"""States and controllers as plain dictionaries in JSON types and back, for checkpoints, records and configurations.

Reading runs no code that the data names: a state is rebuilt as the type that a given controller makes, and a controller
only if it is one of this library's own.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from inspect import isabstract
from typing import Any

from adaptive_dropout.controllers.base import Controller, State
from adaptive_dropout.controllers.numbers import check_number
from adaptive_dropout.controllers.reading import LARGEST

__all__ = ["controller_from_dict", "controller_to_dict", "public_controllers", "state_from_dict", "state_to_dict"]


def state_to_dict(state: State) -> dict[str, Any]:
    """Return ``state`` as nested dicts and lists that ``json.dumps(..., allow_nan=False)`` takes.

    Raises:
        TypeError: a field is not of a JSON type.
        ValueError: a number is NaN or infinite; "none yet" is None.

    >>> state_to_dict(State({"fc": 0.5}))
    {'rates': {'fc': 0.5}, 'improved': False, 'rewind': False, 'restart': False, 'reason': ''}
    """
    return _state_fields(state, "")


def state_from_dict(controller: Controller, data: Any) -> State:
    """Return the state that `state_to_dict` stored, as the type that ``controller`` makes.

    ``controller.init`` on the stored rates is the template: it says which parts are states and which are tuples.

    Raises:
        KeyError: a field is missing or unknown, as after a change of the controller.
        TypeError: the data has no mapping where a state or the rates should be.
    """
    rates = data.get("rates") if isinstance(data, Mapping) else None
    if not isinstance(rates, Mapping):
        raise TypeError(f"a stored state has to be a mapping with a mapping 'rates', but got {data!r}")
    state: State = _rebuild_state(controller.init(rates), data, "state")
    return state


def controller_to_dict(controller: Controller) -> dict[str, Any]:
    """Return ``{"class_path": ..., "init_args": {...}}``, as configurations have it, for controllers in it too.

    A setting that JSON cannot hold is stored as ``{"repr": "..."}``, for people to read.

    >>> from adaptive_dropout.controllers import Clip, FixedController
    >>> controller_to_dict(Clip(FixedController(), high=0.5))["init_args"]["controller"]
    {'class_path': 'adaptive_dropout.FixedController', 'init_args': {}}
    """
    settings = {entry.name: getattr(controller, entry.name) for entry in fields(controller) if entry.init}
    return {
        "class_path": _class_path(type(controller)),
        "init_args": {name: _to_json(value, _setting_to_json, name) for name, value in settings.items()},
    }


def controller_from_dict(data: Any, trusted: type[Controller] | None = None) -> Controller:
    """Return the controller that `controller_to_dict` stored, if it is one of this library's own or a ``trusted`` one.

    No other class is imported, as that would run the code of whoever wrote the data.

    Raises:
        ValueError: the data names another class, or a setting that could not be stored, or is not of this form.
        TypeError: the class does not take these settings.
    """
    if not isinstance(data, Mapping) or data.keys() != {"class_path", "init_args"}:
        raise ValueError(f"a stored controller has to have 'class_path' and 'init_args', but got {data!r}")
    path, settings = str(data["class_path"]), data["init_args"]
    known = {f"adaptive_dropout.{name}": kind for name, kind in public_controllers().items()}
    if trusted is not None:
        known[_class_path(trusted)] = trusted
    if path not in known:
        raise ValueError(
            f"the file names the controller {path!r}, which is not one of adaptive_dropout's, and no code is imported "
            "because a file names it; if you trust it, name it yourself with --controller"
        )
    if not isinstance(settings, Mapping):
        raise ValueError(f"the settings of {path} have to be a mapping, but got {settings!r}")
    return known[path](**{name: _rebuild_setting(value, f"{path}.{name}") for name, value in settings.items()})


def public_controllers() -> dict[str, type[Controller]]:
    """Return the controllers that this library exports, by name."""
    from adaptive_dropout import controllers  # not above: that file imports this one

    exported = {name: getattr(controllers, name) for name in controllers.__all__}
    return {
        name: kind
        for name, kind in exported.items()
        if isinstance(kind, type) and issubclass(kind, Controller) and not isabstract(kind)
    }


def _class_path(kind: type[Controller]) -> str:
    public = public_controllers().get(kind.__name__) is kind
    return f"{'adaptive_dropout' if public else kind.__module__}.{kind.__qualname__}"


def _to_json(value: Any, convert: Callable[[Any, str], Any], path: str) -> Any:
    """Return ``value`` in JSON types: containers part by part, and through ``convert`` what JSON cannot hold."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _to_json(item, convert, f"{path}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(item, convert, f"{path}[{i}]") for i, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return convert(value, path)


def _setting_to_json(value: Any, path: str) -> dict[str, Any]:
    return controller_to_dict(value) if isinstance(value, Controller) else {"repr": repr(value)}


def _part_to_json(value: Any, path: str) -> dict[str, Any]:
    if is_dataclass(value) and not isinstance(value, type):
        return _state_fields(value, f"{path}.")
    if isinstance(value, float):
        raise ValueError(f"state field {path} has to be finite, or None for none yet, but got {value}")
    raise TypeError(f"state field {path} has to be of a JSON type, but got {value!r}")


def _state_fields(state: Any, prefix: str) -> dict[str, Any]:
    names = [entry.name for entry in fields(state)]
    return {name: _to_json(getattr(state, name), _part_to_json, f"{prefix}{name}") for name in names}


def _rebuild_state(template: Any, data: Any, path: str) -> Any:
    if is_dataclass(template) and not isinstance(template, type):
        parts = {entry.name: getattr(template, entry.name) for entry in fields(template)}
        _check_keys(parts, data, path)
        for entry in fields(template):
            parts[entry.name] = _expected(parts[entry.name], str(entry.type), data[entry.name])
        return type(template)(**{key: _rebuild_state(parts[key], data[key], f"{path}.{key}") for key in parts})
    if isinstance(template, Mapping) and isinstance(data, Mapping):
        if any(is_dataclass(part) for part in template.values()):
            _check_keys(template, data, path)
        if missing := template.keys() - data.keys():
            raise KeyError(f"{path} lacks {sorted(missing)}")
        return {key: _rebuild_state(template.get(key), item, f"{path}[{key!r}]") for key, item in data.items()}
    if isinstance(template, tuple) and isinstance(data, (list, tuple)):
        # An empty tuple says nothing about its later entries; a list among them can only have been a tuple.
        parts_of = template if len(template) == len(data) else ((),) * len(data)
        pairs = zip(parts_of, data, strict=True)
        return tuple(_rebuild_state(part, item, f"{path}[{i}]") for i, (part, item) in enumerate(pairs))
    return _check_leaf(template, data, path)


def _expected(template: Any, declared: str, data: Any) -> Any:
    """Return ``template``, or for "none yet" numbers like those that the field is declared to hold later."""
    if template is None and data is not None and declared in ("float | None", "int | None"):
        return 0.0
    if declared == "tuple[float, ...]":
        return (0.0,) * (len(data) if isinstance(data, (list, tuple)) else 1)
    return template


def _check_leaf(template: Any, data: Any, path: str) -> Any:
    """Return ``data`` if it is of the kind of ``template``; "none yet" and empty ones may become anything."""
    kinds = [kind for kind in (bool, (int, float), str, (list, tuple), Mapping) if isinstance(template, kind)]
    if (
        template != ()
        and kinds
        and (not isinstance(data, kinds[0]) or (isinstance(data, bool) and kinds[0] is not bool))
    ):
        raise TypeError(f"{path} has to be like {reprlib.repr(template)}, but got {reprlib.repr(data)}")
    if isinstance(data, (int, float)) and not isinstance(data, bool) and not abs(check_number(data, path)) <= LARGEST:
        raise ValueError(f"{path} has to be at most {LARGEST}, but got {float(data)}")
    return data


def _check_keys(expected: Mapping[str, Any], data: Any, path: str) -> None:
    if not isinstance(data, Mapping):
        raise TypeError(f"{path} has to be a mapping with {sorted(expected)}, but got {data!r}")
    if expected.keys() != data.keys():
        raise KeyError(f"{path} has to have exactly {sorted(expected)}, but has {sorted(data)}")


def _rebuild_setting(value: Any, path: str) -> Any:
    if isinstance(value, list):
        return tuple(_rebuild_setting(item, f"{path}[{number}]") for number, item in enumerate(value))
    if not isinstance(value, Mapping):
        return value
    if value.keys() == {"class_path", "init_args"}:
        return controller_from_dict(value)
    if value.keys() == {"repr"}:
        raise ValueError(f"the setting {path} was stored as {value['repr']}, from which it cannot be made again")
    return {key: _rebuild_setting(item, f"{path}[{key!r}]") for key, item in value.items()}
