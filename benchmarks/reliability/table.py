"""The page: what was tried of each kind, and what survived, losses first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.reliability.attempt import Attempt, Kind
from benchmarks.report.markdown import table

__all__ = ["latest", "lines"]


def latest(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the last attempt with each kind and seed."""
    return list({(attempt.kind, attempt.seed): attempt for attempt in attempts}.values())


def lines(attempts: Sequence[Attempt], kinds: Mapping[str, Kind]) -> Iterator[str]:
    """Yield the page, line by line."""
    yield from ("# What a run survives", "")
    groups = {name: [each for each in latest(attempts) if each.kind == name] for name in kinds}
    rows = []
    for name, kind in kinds.items():
        tried, survived = (sum(getattr(each, what) for each in groups[name]) for what in ("times", "survived"))
        announced = sum(each.announced for each in groups[name])
        row = (name, kind.things, f"{tried:,}", f"{survived:,}", f"{announced:,}", f"{kind.enough:,}", kind.survives)
        rows.append((tried - survived, row))
    header = ("kind", "things", "tried", "survived", "of these announced", "asked for", "survived means")
    yield from table(header, [row for _, row in sorted(rows, key=lambda pair: -pair[0])])
    lost = [each for each in latest(attempts) if each.survived < each.times]
    yield from ("", "## Not survived", "")
    for each in lost:
        yield f"- {each.kind}, seed {each.seed}, {each.times - each.survived} of {each.times}: {each.failures}"
    if not lost:
        yield "Nothing."
    again = len(attempts) - len(latest(attempts))
    mended = sum(each.survived < each.times for each in attempts) - len(lost)
    if again:
        yield from ("", f"{again} attempts were made again, {mended} of them because they had failed (results.csv).")
    places = sorted({f"{each.versions}; {each.machine}; commit {each.commit}" for each in latest(attempts)})
    yield from ("", "## Where", "", *(f"- {place}" for place in places))
