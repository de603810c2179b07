"""Labels for layers: the parts of their names that differ, short enough for a legend."""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_dropout.plots.look import plain

__all__ = ["labels"]

LONGEST = 32


def labels(names: Sequence[str]) -> tuple[list[str], str]:
    """Return a label for each of ``names``, and the parts that were left out of all of them, around a ``*``.

    Short names stay as they are. Long names lose the parts that all have in common at both ends.

    >>> labels(["encoder.layers.0.attention.output.dropout", "encoder.layers.1.attention.output.dropout"])
    (['0', '1'], 'encoder.layers.*.attention.output.dropout')
    >>> labels(["dropout1", "dropout2"])
    (['dropout1', 'dropout2'], '')
    """
    if len(names) < 2 or max(map(len, names)) <= LONGEST:
        return [plain(name) for name in names], ""
    parts = [name.split(".") for name in names]
    head = _count_shared(parts)
    rest = [part[head:] for part in parts]
    tail = _count_shared([part[::-1] for part in rest])
    middles = [".".join(part[: len(part) - tail]) for part in rest]
    common = ".".join([*parts[0][:head], "*", *parts[0][len(parts[0]) - tail :]])
    short = [plain(middle) for middle in middles]
    if len(set(short)) < len(set(names)):
        short = [f"{number}: {label}" for number, label in enumerate(short, start=1)]
    return short, plain(common, longest=60)


def _count_shared(parts: Sequence[Sequence[str]]) -> int:
    """Return how many parts all have in common at the beginning; each keeps at least one more."""
    columns = zip(*(part[:-1] for part in parts), strict=False)
    differs = (place for place, column in enumerate(columns) if len(set(column)) > 1)
    return next(differs, min(map(len, parts)) - 1)
