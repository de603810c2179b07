"""Lines of a hundred thousand points, drawn with those that can be told apart: no peak and no end is lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["kept_places", "thinned"]

MOST = 1600
"""Points of a line: four for each of 400 columns."""

BY_COLUMN = 4  # the first, the lowest, the highest and the last


def thinned(points: Sequence[tuple[int, float]], most: int = MOST) -> list[tuple[int, float]]:
    """Return at most about ``most`` of ``points``, ``(step, value)`` in order of their steps: see `kept_places`."""
    return [points[place] for place in kept_places(points, most)]


def kept_places(points: Sequence[tuple[int, float]], most: int = MOST) -> list[int]:
    """Return which of ``points`` to draw: the first, the lowest, the highest and the last of each of equal columns.

    A column with a value that is not finite keeps one, so that the line is broken there.

    >>> kept_places([(step, float(step == 500)) for step in range(1000)], most=8)
    [0, 499, 500, 501, 999]
    """
    if len(points) <= most:
        return list(range(len(points)))
    steps = np.array([step for step, _ in points])
    values = np.array([value for _, value in points], dtype=float)
    width = max(points[-1][0] - points[0][0], 1)
    columns = (steps - steps[0]) * (most // BY_COLUMN) // (width + 1)
    kept: set[int] = set()
    for places in np.split(np.arange(len(points)), np.flatnonzero(np.diff(columns)) + 1):
        is_whole = np.isfinite(values[places])
        broken, whole = places[~is_whole], places[is_whole]
        kept |= {places[0], places[-1], *broken[:1]}
        if len(whole):
            kept |= {whole[values[whole].argmin()], whole[values[whole].argmax()]}
    return sorted(int(place) for place in kept)
