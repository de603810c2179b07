"""`History`: the rates and losses of a run, step by step, small enough for memory and checkpoints. Figures draw it.

`DropoutRateMonitor` records it for any kind of rate; `Run.history` makes it for a steered run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from adaptive_dropout.tracking.lines import check_rates, check_signals, check_step
from adaptive_dropout.tracking.shown import shown

__all__ = ["History", "Point", "RateSummary"]


@dataclass(frozen=True)
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
        """Return the history in JSON types."""
        return {"points": [asdict(point) for point in self.points]}

    def load_state_dict(self, state: Any) -> None:
        """Go on from the history that `state_dict` returned.

        Raises:
            TypeError, ValueError: it holds something else, or a number in it is out of its range.
        """
        saved = state.get("points") if isinstance(state, Mapping) else None
        if not isinstance(saved, list):
            raise TypeError(f"the points of a history have to be a list, but got {shown(repr(saved), 80)}")
        points = [Point(**point) for point in saved]
        for point in points:
            losses = {"train_loss": point.train_loss, "val_loss": point.val_loss}
            check_step(point.step)
            check_rates(point.rates, "rates")
            check_signals({name: loss for name, loss in losses.items() if loss is not None})
        self.points = points
