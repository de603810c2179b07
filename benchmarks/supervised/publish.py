"""Tables and figures of all studies of a question, from all rows; a part of the page above them is generated too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.study.cells import rows_of
from benchmarks.study.readme import write_between
from benchmarks.study.study import Study
from benchmarks.supervised.markdown import Rows, origin
from benchmarks.supervised.training import TrainedRow

__all__ = ["Figures", "Page", "publish"]

Figures = Callable[[Study, Mapping[str, Sequence[TrainedRow]], str], Mapping[str, Figure]]
"""Draws the rows of one task by the name of the method, under a title: figures by what their files are called last."""


@dataclass(frozen=True)
class Page:
    """How the results of a question are shown.

    Args:
        name: of the generated part in the README.md above, and of the folder.
        title: of ``table.md``.
        introduction: what the numbers mean.
        table: returns the tables of a study from its rows, empty without any.
        figures: draws those of a task.
    """

    name: str
    title: str
    introduction: str
    table: Callable[[Study, Rows], str]
    figures: Figures


def publish(page: Page, studies: Sequence[Study], rows: Sequence[TrainedRow], folder: Path) -> None:
    """Write what ``rows`` say of each of the ``studies`` into ``folder``, and into the README.md above if it exists.

    ``table.md`` holds the tables; the figures lie beside it.
    """
    sections, pictures = [], []
    for study in studies:
        found = rows_of(study, rows)
        sections.append(page.table(study, found))
        for task in study.tasks:
            if methods := {name: there for (where, name), there in found.items() if where == task.name}:
                pictures += _draw(page, folder, study, task.name, methods)
    text = "\n\n".join([page.introduction, *filter(None, sections), origin(rows)])
    (folder / "table.md").write_text(f"# {page.title}\n\n{text}\n")
    above = folder.parent / "README.md"
    if above.exists():
        links = (f"![{name}]({folder.name}/{name}.png)" for name in pictures)
        write_between(above, page.name, "\n\n".join([text, *links]))


def _draw(page: Page, folder: Path, study: Study, task: str, methods: Mapping[str, Sequence[TrainedRow]]) -> list[str]:
    names = []
    title = f"{study.name} {task}".replace("-", " ")
    for last, figure in page.figures(study, methods, title).items():
        names.append(f"{study.name}-{task}-{last}")
        figure.savefig(folder / f"{names[-1]}.png", dpi=110, metadata={"Software": None})
    return names
