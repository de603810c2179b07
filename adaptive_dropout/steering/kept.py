"""Whether a snapshot is one of this model and these optimizers, and whether its file holds what was written there.

Torch takes any state for an optimizer's, and fails at the next step, in the middle of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from adaptive_dropout.nested import map_tensors
from adaptive_dropout.tracking.shown import shown

__all__ = ["check_fits", "check_states", "form_of"]

KINDS: dict[str, Any] = {
    "a number or tensor": (Tensor, bool, int, float),
    "text": str,
    "a dict": dict,
    "a list": (list, tuple),
}


def form_of(state: Any) -> str:
    """Return a text that is equal for nested values of equal keys and numbers, and tensors of equal shapes and dtypes.

    Raises:
        TypeError: ``state`` holds something besides tensors, numbers, strings, None, dicts, lists and tuples.
    """
    return repr(map_tensors(lambda tensor, _: (list(tensor.shape), tensor.dtype), state))  # type: ignore[arg-type, return-value]


def check_fits(live: Mapping[str, Any], kept: Any) -> None:
    """Raise a ValueError where ``kept`` is not of the parameters and optimizers that are ``live``.

    Both have the form of `Snapshot.state_dict`; of what was ``kept`` that is not known, as in a broken checkpoint.
    """
    _check_form(kept)
    now, then = ({name: list(t.shape) for name, t in state["tensors"].items()} for state in (live, kept))
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) != then.get(name):
            shapes = f"shape {then.get(name, 'none')} in the snapshot, but {now.get(name, 'none')} in the model"
            raise ValueError(f"{name!r} has {shapes}; take() again after a change of the model")
    counts = [len(state["optimizers"]) for state in (kept, live)]
    if counts[0] != counts[1]:
        raise ValueError(f"the snapshot is of {counts[0]} optimizers, but here are {counts[1]}; give the same ones")
    for number, (after, before) in enumerate(zip(live["optimizers"], kept["optimizers"], strict=True)):
        # Groups added at the end since, as when layers are unfrozen, only lose their state.
        if after["parameters"][: len(before["parameters"])] != before["parameters"]:
            raise ValueError(f"optimizer {number} has other parameters than in the snapshot; take() again")


def check_states(live: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Raise a ValueError where an optimizer's state that was ``kept`` is of other kinds than that which is ``live``.

    Of parts that both have; None is of any kind.
    """
    for number, (after, before) in enumerate(zip(live["optimizers"], kept["optimizers"], strict=True)):
        for position, name in enumerate(before["parameters"]):
            state, present = (entry["state"].get(position, {}) for entry in (before, after))
            if not isinstance(state, dict):
                raise ValueError(f"optimizer {number} has no state of {name!r} in the snapshot; it is broken")
            for part in sorted(state.keys() & present.keys(), key=str):
                if (wrong := _difference(state[part], present[part], live["tensors"][name])) is not None:
                    raise ValueError(f"{part!r} of {name!r} in optimizer {number} {wrong}; the snapshot is broken")


def _check_form(kept: Any) -> None:
    tensors, optimizers = (kept.get(part) if isinstance(kept, Mapping) else None for part in ("tensors", "optimizers"))
    named = isinstance(tensors, Mapping) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in tensors.items()
    )
    if not named or not isinstance(optimizers, list) or not all(map(_is_entry, optimizers)):
        raise ValueError("the snapshot does not hold tensors and the states of optimizers; it is broken")


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("parameters"), list):
        return False
    try:
        return isinstance(map_tensors(lambda tensor, _: tensor, entry.get("state")), dict)
    except TypeError:
        return False


def _difference(value: Any, now: Any, parameter: Tensor) -> str | None:
    if value is None or now is None:
        return None
    # Of tensors only those with a number for each weight keep their shape: histories grow.
    if isinstance(now, Tensor) and now.shape == parameter.shape and now.numel() > 1:
        needed, found = (f"a tensor of shape {list(now.shape)}", _told(value))
    else:
        needed, found = (_kind(one) for one in (now, value))
    return None if needed == found else f"has to be {needed}, but is {found} in the snapshot"


def _kind(value: Any) -> str:
    return next((kind for kind, types in KINDS.items() if isinstance(value, types)), "something else")


def _told(value: Any) -> str:
    return f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else shown(repr(value), longest=50)
