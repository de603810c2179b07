"""States as plain dictionaries and back, for checkpoints and logs; JSON types only, user-written states too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from adaptive_dropout.controllers.base import Controller, State

__all__ = ["state_from_dict", "state_to_dict"]


def state_to_dict(state: State) -> dict[str, Any]:
    """Return ``state`` as nested dicts and lists that ``json.dumps(..., allow_nan=False)`` takes.

    Raises:
        TypeError: a field is of no JSON type.
        ValueError: a number is NaN or infinite; "none yet" is None.

    >>> state_to_dict(State({"fc": 0.5}))
    {'rates': {'fc': 0.5}, 'improved': False, 'rewind': False, 'restart': False, 'reason': ''}
    """
    return {entry.name: _plain(getattr(state, entry.name), entry.name) for entry in fields(state)}


def state_from_dict(controller: Controller, data: Mapping[str, Any]) -> State:
    """Return the state that `state_to_dict` stored, as the type that ``controller`` makes.

    ``controller.init`` on the stored rates is the template: it says which parts are states and which are tuples.

    Raises:
        KeyError: a field is missing or unknown, as after a change of the controller.
        TypeError: the data has no mapping where a state or the rates should be.
    """
    template = controller.init(_stored_rates(data))
    rebuilt: State = _rebuilt(template, data, "state")
    return rebuilt


def _stored_rates(data: Any) -> Mapping[str, float]:
    rates = data.get("rates") if isinstance(data, Mapping) else None
    if not isinstance(rates, Mapping):
        raise TypeError(f"a stored state has to be a mapping with a mapping 'rates', but got {data!r}")
    return rates


def _plain(value: Any, path: str) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: _plain(getattr(value, entry.name), f"{path}.{entry.name}") for entry in fields(value)}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(item, f"{path}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"state field {path} has to be finite, or None for none yet, but got {value}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"state field {path} has to be of a JSON type, but got {value!r}")


def _rebuilt(template: Any, data: Any, path: str) -> Any:
    if is_dataclass(template) and not isinstance(template, type):
        parts = {entry.name: getattr(template, entry.name) for entry in fields(template)}
        _check_keys(parts, data, path)
        return type(template)(**{key: _rebuilt(parts[key], data[key], f"{path}.{key}") for key in parts})
    if isinstance(template, Mapping) and isinstance(data, Mapping):
        if any(is_dataclass(part) for part in template.values()):
            _check_keys(template, data, path)
        return {key: _rebuilt(template.get(key), item, f"{path}[{key!r}]") for key, item in data.items()}
    if isinstance(template, tuple) and isinstance(data, (list, tuple)):
        # An empty tuple is no template for what it will hold; lists in it can only have been tuples.
        parts_of = template if len(template) == len(data) else ((),) * len(data)
        return tuple(
            _rebuilt(part, item, f"{path}[{i}]") for i, (part, item) in enumerate(zip(parts_of, data, strict=True))
        )
    return data


def _check_keys(expected: Mapping[str, Any], data: Any, path: str) -> None:
    if not isinstance(data, Mapping):
        raise TypeError(f"{path} has to be a mapping with {sorted(expected)}, but got {data!r}")
    if expected.keys() != data.keys():
        raise KeyError(f"{path} has to have exactly {sorted(expected)}, but has {sorted(data)}")
