"""Configurations in words. They may be someone else's, nested without end or many times over by YAML's aliases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

__all__ = ["in_words"]

PIECES, DEEPEST = 4000, 20


def in_words(configured: object) -> str:
    """Return ``{"class_path": ..., "init_args": {...}}`` as one would write it, such as ``Digits(n_train=500)``.

    Settings that are None or False are left out, and so are the modules of classes.

    >>> in_words({"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1, "fused": None, "betas": [0.9, 0.99]}})
    'Adam(lr=0.1, betas=[0.9, 0.99])'
    """
    return "".join(islice(_pieces(configured), PIECES))


def _pieces(configured: object, depth: int = 0) -> Iterator[str]:
    if depth > DEEPEST:
        yield "…"
    elif isinstance(configured, (list, tuple)):
        yield "["
        for number, part in enumerate(configured):
            yield ", " * (number > 0)
            yield from _pieces(part, depth + 1)
        yield "]"
    elif not isinstance(configured, Mapping):
        yield _text(configured)
    elif not isinstance(path := configured.get("class_path"), str):
        yield from _named(configured, ": ", depth)
    else:
        yield f"{path.rpartition('.')[2]}("
        settings = configured.get("init_args")
        if isinstance(settings, Mapping):
            yield from _named({n: v for n, v in settings.items() if v is not None and v is not False}, "=", depth)
        yield ")"


def _named(parts: Mapping[object, object], between: str, depth: int) -> Iterator[str]:
    for number, (name, value) in enumerate(parts.items()):
        yield f"{', ' * (number > 0)}{_text(name)}{between}"
        yield from _pieces(value, depth + 1)


def _text(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses integers of more than 4300 digits
        return "…"
