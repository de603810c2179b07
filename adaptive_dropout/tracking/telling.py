"""Which of very many decisions a page or a table shows: what happened, and between that an even selection."""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_dropout.tracking.decisions import Decision

__all__ = ["telling"]


def telling(decisions: Sequence[Decision], most: int) -> list[int]:
    """Return which of ``decisions`` to show, at most about ``most``: all, if there are no more.

    Else the first and the last, all rewinds and restarts with the decision before, the last new best, and the others
    evenly. Where rewinds and restarts alone are too many, an even selection of them.
    """
    if len(decisions) <= most:
        return list(range(len(decisions)))
    back = [place for place, decision in enumerate(decisions) if decision.rewind or decision.restart]
    best = [place for place, decision in enumerate(decisions) if decision.improved][-1:]
    shown = {0, len(decisions) - 1, *best}
    for place in _evenly(back, most // 2):
        shown |= {max(place - 1, 0), place}
    shown |= set(_evenly(range(len(decisions)), max(most - len(shown), 0)))
    return sorted(shown)


def _evenly(places: Sequence[int], most: int) -> Sequence[int]:
    return places if len(places) <= most else [places[number * len(places) // most] for number in range(most)]
