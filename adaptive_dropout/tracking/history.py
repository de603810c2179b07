"""`History`: the rates and losses of a run, step by step, small enough for memory and checkpoints. Figures draw it.

`DropoutRateMonitor` records it for any kind of rate; `Run.history` makes it for a steered run. A hundred thousand
points of rates that seldom move take 20 MB of memory and 4 MB of a checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from adaptive_dropout.tracking.compact import compact, expand
from adaptive_dropout.tracking.lines import check_rates, check_step, read_signals
from adaptive_dropout.tracking.shown import shown

__all__ = ["History", "Point", "RateSummary"]


@dataclass(frozen=True, slots=True)
class Point:
    """The rates at one step, and the losses where they were measured there.

    Args:
        step: optimizer steps done so far.
        rates: ``{name: p}``.
        train_loss: mean minibatch loss with dropout on since the last validation; None between validations.
        val_loss: the monitored validation loss; None between validations.
    """

    step: int
    rates: Mapping[str, float]
    train_loss: float | None = None
    val_loss: float | None = None


class RateSummary(NamedTuple):
    """Where one rate began and ended, and its extremes."""

    start: float
    end: float
    min: float
    max: float


@dataclass
class History:
    """Points in the order in which they were recorded."""

    points: list[Point] = field(default_factory=list)

    def add(self, point: Point) -> None:
        """Append ``point``; if its step is earlier, as in a resumed run, the points after that step are dropped."""
        while self.points and self.points[-1].step > point.step:
            self.points.pop()
        if self.points and point.rates == (known := self.points[-1].rates):  # one mapping for as long as they stay
            point = Point(point.step, known, point.train_loss, point.val_loss)
        self.points.append(point)

    def rate_names(self) -> list[str]:
        """Return the names of all rates, in the order in which they first appear."""
        return list(dict.fromkeys(name for point in self.points for name in point.rates))

    def summary(self) -> dict[str, RateSummary]:
        """Return ``{name: (start, end, min, max)}``."""
        series = {n: [point.rates[n] for point in self.points if n in point.rates] for n in self.rate_names()}
        return {n: RateSummary(ps[0], ps[-1], min(ps), max(ps)) for n, ps in series.items()}

    def losses(self) -> list[tuple[int, float | None, float]]:
        """Return ``(step, train_loss, val_loss)`` for each validation."""
        return [(p.step, p.train_loss, p.val_loss) for p in self.points if p.val_loss is not None]

    def state_dict(self) -> dict[str, Any]:
        """Return the history in JSON types: rates as `compact` stores them, in parts where they have the same names."""
        parts: list[dict[str, Any]] = []
        known: Mapping[str, float] = {}
        for point in self.points:
            if point.rates.keys() != known.keys():
                known = point.rates
                parts.append({"rates": dict(known), "points": []})
            moved = compact(point.rates, known)
            parts[-1]["points"].append([point.step, moved, point.train_loss, point.val_loss])
            known = point.rates
        return {"parts": parts}

    def load_state_dict(self, state: Any) -> None:
        """Go on from the history that `state_dict` returned, or an earlier version with all rates at each point.

        Raises:
            TypeError, ValueError: it holds something else, or a number in it is out of its range.
        """
        state = state if isinstance(state, Mapping) else {}
        if "parts" in state:
            points = [point for part in _list_of(state, "parts") for point in _points_of(part)]
        else:
            points = [Point(**point) for point in _list_of(state, "points")]
        for point in points:
            losses = {"train_loss": point.train_loss, "val_loss": point.val_loss}
            check_step(point.step)
            check_rates(point.rates, "rates")
            read_signals({name: loss for name, loss in losses.items() if loss is not None})
        self.points = points


def _list_of(whole: Any, name: str) -> list[Any]:
    found = whole.get(name) if isinstance(whole, Mapping) else None
    if not isinstance(found, list):
        raise TypeError(f"the {name} of a history have to be a list, but got {shown(repr(found), 80)}")
    return found


def _points_of(part: Any) -> Iterator[Point]:
    points = _list_of(part, "points")
    known = part.get("rates")
    check_rates(known, "rates")
    for step, moved, train_loss, val_loss in points:
        known = expand(moved, known, "rates")
        yield Point(step, known, train_loss, val_loss)
