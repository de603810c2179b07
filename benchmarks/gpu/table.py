"""The last run of each section as Markdown: targets, missed ones first, then each section.

``python -m benchmarks.gpu.table [results.csv]`` prints it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.gpu.results import RESULTS, Row, select_last
from benchmarks.gpu.sections import SECTIONS, Section
from benchmarks.gpu.targets import TARGETS, Outcome, find_outcomes
from benchmarks.report.markdown import table
from benchmarks.study.rows import read

__all__ = ["FORMATS", "write_lines"]

YES_NO = "yes or no"
FORMATS = {
    "elements": "{:,.0f}",
    "equal": "{:.4%}",
    "as eager": "{:.4%}",
    "largest difference": "{:.1e}",
    "standard errors from p": "{:.2f}",
    "gradient is the mask": YES_NO,
    "all replays differ": YES_NO,
    "a replay follows p": YES_NO,
    "graphs": "{:.0f}",
    "forward": YES_NO,
    "backward": YES_NO,
    "set_rates": YES_NO,
    "us": "{:.1f}",
    "host us": "{:.1f}",
    "x torch": "{:.2f}",
    "x torch's MB": "{:.2f}",
    "x without": "{:.3f}",
    "of copy": "{:.0%}",
    "kernels": "{:.1f}",
    "launches": "{:.1f}",
    "aten operations": "{:.1f}",
    "ms": "{:.3f}",
    "peak MB": "{:.0f}",
}
INTRODUCTION = """Written by `python -m benchmarks.gpu` from the last run of each section in `results.csv`. Ratios are
of medians over rounds in which each contender took a turn, in random order, in one process. The README beside it says
what each number means. The load is that of the minute before the section."""
DRY = "**A dry run: sizes are small and few, and what needs a GPU is left out. No number here is about a GPU.**"


def write_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the table."""
    rows = select_last(rows)
    yield from ("# On a GPU", "", *INTRODUCTION.splitlines(), "")
    if not rows:
        yield "Nothing was measured."
        return
    yield from (DRY, "") if any(row.device == "cpu" for row in rows) else ()
    yield from (
        "## Targets",
        "",
        "Of each the worst case; missed ones first, then those that could not be measured.",
        "",
    )
    yield from _write_targets(rows)
    for name, section in SECTIONS.items():
        found = [row for row in rows if row.section == name]
        yield from ("", f"## {section.title}", "", section.says, "")
        yield from (_place(found[0]), "") if found else ("Not run.",)
        yield from _write_section(section, found)


def show(row: Row) -> str:
    """Return the number as text, or the reason why there is none."""
    if math.isnan(row.value):
        return row.note or "not measured"
    pattern = FORMATS[row.quantity]
    if pattern == YES_NO:
        return "yes" if row.value == 1 else f"**no**{f': {row.note}' if row.note else ''}"
    return pattern.format(row.value)


def _place(row: Row) -> str:
    return f"{row.machine}; threads: {row.threads}; {row.versions}; commit {row.commit}; {row.started}"


def _write_targets(rows: Sequence[Row]) -> Iterator[str]:
    asked = [target for target in TARGETS if any(row.section == target.section for row in rows)]
    outcomes = [o for o in find_outcomes(rows, asked) if o.rows]
    yield from table(("who", "promise", "worst", "where", "missed", "met"), (_show_outcome(o) for o in outcomes))


def _show_outcome(outcome: Outcome) -> list[str]:
    target, worst = outcome.target, outcome.worst
    value = "" if worst is None else f"{worst.quantity}: {show(worst)}"
    where = "" if worst is None else ", ".join(part for part in (worst.subject, worst.setting, worst.size) if part)
    met = {True: "yes", False: "**no**", None: "not measured"}[outcome.met]
    subject = f"{target.section}: {'all' if target.subject == '*' else target.subject}"
    return [subject, target.says, value, where, f"{outcome.missed} of {outcome.rows}", met]


def _write_section(section: Section, rows: Sequence[Row]) -> Iterator[str]:
    errors = [row for row in rows if not row.subject]  # the process ended before its time
    for row in errors:
        yield f"**Broken off: {row.note}**"
        yield ""
    rows = [row for row in rows if row.subject]
    if section.by_size:
        for setting in dict.fromkeys(row.setting for row in rows):
            yield from (setting, "")
            yield from _pivot([row for row in rows if row.setting == setting], ("subject",), "size")
            yield ""
    else:
        yield from _pivot(rows, [key for key in ("size", "setting", "subject") if _tells(rows, key)], "quantity")


def _tells(rows: Sequence[Row], field: str) -> bool:
    return field == "subject" or any(getattr(row, field) for row in rows)


def _pivot(rows: Sequence[Row], index: Sequence[str], column: str) -> Iterator[str]:
    """Yield a table with a line for each value of the fields ``index`` and a column for each of ``column``."""
    columns = list(dict.fromkeys(getattr(row, column) for row in rows))
    lines = dict.fromkeys(tuple(getattr(row, field) for field in index) for row in rows)
    body = []
    for line in lines:
        cells = []
        for name in columns:
            found = [row for row in rows if (*(getattr(row, f) for f in index), getattr(row, column)) == (*line, name)]
            cells.append(" / ".join(map(show, found)))
        body.append([*line, *cells])
    yield from table([*index, *columns], body)


if __name__ == "__main__":
    print("\n".join(write_lines(read(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS, Row))))
