"""Tables and figures of all studies, from all rows; a part of the page above them is generated too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.effect.figures import bars_figure, curves_figure
from benchmarks.effect.table import INTRODUCTION, study_table
from benchmarks.effect.training import EffectRow
from benchmarks.study.cells import rows_of
from benchmarks.study.readme import write_between
from benchmarks.study.study import Study

__all__ = ["publish"]


def publish(studies: Sequence[Study], rows: Sequence[EffectRow], folder: Path) -> None:
    """Write what ``rows`` say of each of the ``studies`` into ``folder``, and into the README.md above if it exists.

    ``table.md`` holds the tables, two figures a task the rest.
    """
    sections, pictures = [], []
    for study in studies:
        found = rows_of(study, rows)
        sections.append(study_table(study, found))
        for task in study.tasks:
            if methods := {name: there for (where, name), there in found.items() if where == task.name}:
                pictures += _draw(folder, f"{study.name}-{task.name}", methods)
    text = "\n\n".join([INTRODUCTION, *filter(None, sections), _places(rows)])
    (folder / "table.md").write_text(f"# What dropout does\n\n{text}\n")
    page = folder.parent / "README.md"
    if page.exists():
        shown = (f"![{name}]({folder.name}/{name}.png)" for name in pictures)
        write_between(page, "effect", "\n\n".join([text, *shown]))


def _places(rows: Sequence[EffectRow]) -> str:
    places = sorted({f"{row.versions}; {row.machine}" for row in rows})
    return f"Run with {'; '.join(places)}; one thread a run." if places else "Nothing was run."


def _draw(folder: Path, name: str, methods: dict[str, list[EffectRow]]) -> list[str]:
    title = name.replace("-", " ")
    for kind, draw in (("bars", bars_figure), ("curves", curves_figure)):
        draw(methods, title).savefig(folder / f"{name}-{kind}.png", dpi=110, metadata={"Software": None})
    return [f"{name}-bars", f"{name}-curves"]
