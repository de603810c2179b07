"""The report of a question: tables and figures of all its studies, and a generated part of the page above them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.report.markdown import replace_between, show_places
from benchmarks.study.cells import select_rows
from benchmarks.study.study import Study
from benchmarks.supervised.training import TrainedRow

__all__ = ["Figures", "Page", "Rows", "by_method", "list_missing", "write_page"]

Rows = Mapping[tuple[str, str], Sequence[TrainedRow]]
"""Rows by the names of task and method, one for each seed."""

Figures = Callable[[Study, Mapping[str, Sequence[TrainedRow]], str], Mapping[str, Figure]]
"""Draws the rows of one task by the name of the method, under a title: figures by the end of their file's name."""


@dataclass(frozen=True)
class Page:
    """The parts of a report.

    Args:
        name: of the generated part in the README.md above, and of the folder.
        title: of ``table.md``.
        introduction: the meaning of the numbers.
        table: returns the tables of a study from its rows; an empty string without rows.
        figures: draws the figures of a task.
    """

    name: str
    title: str
    introduction: str
    table: Callable[[Study, Rows], str]
    figures: Figures


def write_page(page: Page, studies: Sequence[Study], rows: Sequence[TrainedRow], folder: Path) -> None:
    """Write the report of ``studies`` into ``folder``, and into the README.md above it if there is one.

    ``table.md`` holds the tables; the figures lie beside it.
    """
    sections, pictures = [], []
    for study in studies:
        found = select_rows(study, rows)
        sections.append(page.table(study, found))
        for task in study.tasks:
            if methods := by_method(found, task.name):
                pictures += _draw(page, folder, study, task.name, methods)
    text = "\n\n".join([page.introduction, *filter(None, sections), show_places(rows)])
    (folder / "table.md").write_text(f"# {page.title}\n\n{text}\n")
    above = folder.parent / "README.md"
    if above.exists():
        links = (f"![{name}]({folder.name}/{name}.png)" for name in pictures)
        replace_between(above, page.name, "\n\n".join([text, *links]))


def by_method(rows: Rows, task: str) -> dict[str, Sequence[TrainedRow]]:
    """Return the rows of ``task`` by the name of the method."""
    return {name: there for (where, name), there in rows.items() if where == task}


def list_missing(study: Study, found: Mapping[str, Sequence[TrainedRow]]) -> Iterator[str]:
    """Yield a line that names the runs of ``study`` that ``found``, rows by method, lacks; nothing if it has all."""
    short = {method.name: len(study.seeds) - len(found.get(method.name, [])) for method in study.methods}
    if len(short) > 1 and len(set(short.values())) == 1 and (count := max(short.values())):
        yield f"\nNot run: {count} of the {len(study.seeds)} seeds of each."
    elif missing := [f"{name} ({count} seeds)" for name, count in short.items() if count]:
        yield f"\nNot run: {', '.join(missing)}."


def _draw(page: Page, folder: Path, study: Study, task: str, methods: Mapping[str, Sequence[TrainedRow]]) -> list[str]:
    names = []
    title = f"{study.name} {task}".replace("-", " ")
    for last, figure in page.figures(study, methods, title).items():
        names.append(f"{study.name}-{task}-{last}")
        figure.savefig(folder / f"{names[-1]}.png", dpi=110, metadata={"Software": None})
    return names
