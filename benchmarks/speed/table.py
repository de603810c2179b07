"""The last run on each device as Markdown: targets that are missed, where a layer loses, then all ratios.

``python -m benchmarks.speed.table [results.csv]`` prints it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.report.markdown import table
from benchmarks.speed.contenders import COPY, NOISES, OURS, TORCH
from benchmarks.speed.results import RESULTS, Groups, Row, compare_times, group_last_runs, share_of_copy
from benchmarks.speed.targets import Outcome, find_outcomes
from benchmarks.speed.timing import PASSES
from benchmarks.study.rows import read

__all__ = ["lines"]

INTRODUCTION = """Written by `python -m benchmarks.speed` from the last run on each device in `results.csv`. Ratios are
of medians over rounds in which each contender took a turn, in one process, on one float32 input; p is 0.3. Saved are
bytes an element that are kept for the backward pass, beside input and output; in the tables at the largest size.
"Recycling" is glibc told to keep what is freed (`MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` set to
2000000000), "default" is glibc as it is, which does the same up to 32 MiB once a block of that size was freed."""
BYTES_OF_A_COPY = 8  # an element: 4 are read and 4 written


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the table."""
    groups = group_last_runs(rows)
    yield from ("# Speed of the noise", "", *INTRODUCTION.splitlines(), "", "Measured:", "")
    yield from _places(groups)
    yield from ("", "## Targets", "", "Missed ones first, the worst of them first.", "")
    yield from _targets(groups)
    yield from ("", "## Where a layer loses", "")
    yield from _losses(groups)
    for device, threads, allocator in dict.fromkeys(case[:3] for case in groups):
        here = {case: group for case, group in groups.items() if case[:3] == (device, threads, allocator)}
        for what in PASSES:
            yield from ("", f"## {device}, threads: {threads}, allocator: {allocator}, {what}", "")
            yield from _ratios({case: group for case, group in here.items() if case.what == what})


def _places(groups: Groups) -> Iterator[str]:
    rows = [next(iter(group.values())) for group in groups.values()]
    for row in {(row.device, row.threads, row.allocator): row for row in rows}.values():
        place = f"{row.device}, threads: {row.threads}, allocator: {row.allocator}"
        yield f"- {place}: {row.machine}; {row.versions}; commit {row.commit}; {row.started}"


def _targets(groups: Groups) -> Iterator[str]:
    body = []
    for outcome in sorted(find_outcomes(groups), key=_worst_first):
        target, case = outcome.target, outcome.case
        place = f"{case.device}, threads: {case.threads}, {case.allocator}"
        measured = "not measured" if math.isnan(outcome.value) else f"{outcome.value:.3g}"
        met = "" if math.isnan(outcome.margin) else "yes" if outcome.margin >= 1 else "**no**"
        body.append([case.noise, case.what, place, f"{case.elements:,}", target.says, measured, met])
    yield from table(("noise", "pass", "place", "elements", "at least", "measured", "met"), body)


def _worst_first(outcome: Outcome) -> tuple[int, float]:
    if math.isnan(outcome.margin):
        return 1, 0.0
    return (0, outcome.margin) if outcome.margin < 1 else (2, outcome.margin)


def _losses(groups: Groups) -> Iterator[str]:
    lost: dict[tuple[str, str, str], dict[tuple[str, int, str], dict[int, float]]] = {}
    places = list(dict.fromkeys(case[:3] for case in groups))
    for case, group in groups.items():
        for against in NOISES[case.noise].contenders:
            ratio = compare_times(group, against)
            if ratio < 1:
                at = lost.setdefault((case.noise, case.what, against), {place: {} for place in places})
                at[case[:3]][case.elements] = ratio
    if not lost:
        yield "Nowhere."
        return
    yield from ("How many times as fast, at the elements where that is below 1; the worst first.", "")
    header = ("noise", "pass", "against", *(", ".join(map(str, place)) for place in places))
    worst_first = sorted(lost.items(), key=lambda item: min(min(r.values(), default=1) for r in item[1].values()))
    yield from table(header, ([*key, *(_by_size(at[place]) for place in places)] for key, at in worst_first))


def _by_size(ratios: dict[int, float]) -> str:
    return ", ".join(f"{size:,}: {ratio:.2f}" for size, ratio in sorted(ratios.items()))


def _ratios(groups: Groups) -> Iterator[str]:
    """Yield one table for a place and a pass: times as fast as nn.Dropout, and the share of the copy bandwidth."""
    sizes, body = sorted({case.elements for case in groups}), []
    for noise in dict.fromkeys(case.noise for case in groups):
        at = {case.elements: group for case, group in groups.items() if case.noise == noise}
        for name in NOISES[noise].contenders:
            row = at[max(at)][name]
            if row.note:
                body.append([f"{noise}: {name}", row.note, *[""] * len(sizes)])
                continue
            shown = f"**{noise}: ours**" if name == OURS else f"{noise}: {name}"
            ratios = (f"{compare_times(at[size], TORCH, name):.2f}" if size in at else "" for size in sizes)
            body.append([shown, f"{row.saved:.3g}", *ratios])
        shares = (f"{share_of_copy(at[size]):.0%}" if size in at else "" for size in sizes)
        body.append([f"{noise}: ours, of the copy bandwidth", "", *shares])
    body.append(["copy, GB/s", "", *(f"{_bandwidth(groups, size):.1f}" for size in sizes)])
    yield from table([f"times as fast as {TORCH}", "saved", *(f"{size:,}" for size in sizes)], body)


def _bandwidth(groups: Groups, size: int) -> float:
    """Return the gigabytes that a copy moves in a second, in the group where it did most."""
    times = [group[COPY].microseconds for case, group in groups.items() if case.elements == size and COPY in group]
    return size * BYTES_OF_A_COPY / min(times) / 1000


if __name__ == "__main__":
    print("\n".join(lines(read(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS, Row))))
