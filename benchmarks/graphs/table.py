"""The results beside the published accuracies, as Markdown: what loses stands first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.anchors.cells import AnchorRow
from benchmarks.report.markdown import show, show_places, table
from benchmarks.study.cells import select_rows
from benchmarks.study.statistics import mean_and_error, paired_difference, summarize
from benchmarks.study.study import Study

__all__ = ["write_page"]

HEAD = """Graph convolutions on Cora, public split. Published test accuracies of 8 layers are **69.5** without and
**75.8** with DropEdge (Rong et al. 2020, README of the code, semi-supervised; 80.4 and 82.0 of 4 layers, 81.1 and
82.8 of 2). Settings for 8 layers are not published: here they are those of the published script for 2 layers, but for
the rates that a line names. Every run is tested with the weights of the lowest validation loss; "last" has those at
the end, which for `steered` are the same. "Difference" is that to the line with the same rate of features and no
dropout of edges, with the same seeds; below 0 dropping edges is worse. In brackets are standard errors over seeds.
"Ended at" is p at the end: of edges, then the mean of the layers of features. Minutes are processor time of one run."""

COMPARED = ("accuracy, %", "difference", "last", "difference")
HEADER = ("method", "seeds", *COMPARED, "validation loss", "ended at", "rewinds", "minutes")


def write_page(studies: Sequence[Study], rows: Sequence[AnchorRow], folder: Path) -> None:
    """Write ``table.md`` into ``folder``: a section for each study."""
    parts = ["# Graphs", HEAD, *(_section(each, rows) for each in studies)]
    (folder / "table.md").write_text("\n\n".join([*parts, show_places(rows)]) + "\n")


def _section(study: Study, rows: Sequence[AnchorRow]) -> str:
    settings = ", ".join(f"{name} {value}" for task in study.tasks for name, value in task.settings.items())
    found = {method: lines for (_, method), lines in select_rows(study, rows).items()}
    order = sorted(found, key=lambda method: summarize(found[method], lambda row: row.score)[0])
    pairs = {method: _reference(study, method) for method in order}
    lines = "\n".join(table(HEADER, (_line(found[each], each, found.get(pairs[each], ())) for each in order)))
    left = {each.name: len(study.seeds) - len(found.get(each.name, ())) for each in study.methods}
    missing = ", ".join(f"{name} ({seeds})" for name, seeds in left.items() if seeds)
    end = f"Not run, with the number of seeds: {missing}." if missing else "All runs of the study are here."
    return "\n\n".join([f"## {study.name}", f"Settings: {settings}.", lines if found else "No runs.", end])


def _reference(study: Study, method: str) -> str:
    """Return the name of the method with the same rate of features and no dropout of edges; empty if it has none."""
    own = next(each for each in study.methods if each.name == method)
    wanted = {**own.settings, "edges": 0.0}
    alike = (each.name for each in study.methods if (each.kind, dict(each.settings)) == (own.kind, wanted))
    return "" if own.kind != "fixed" or own.settings == wanted else next(alike, "")


def _compared(
    rows: Sequence[AnchorRow], reference: Sequence[AnchorRow], score: Callable[[AnchorRow], float]
) -> tuple[str, str]:
    difference = paired_difference(rows, reference, score)
    return show(summarize(rows, score), 1), "" if difference is None else show(difference, 1, "+")


def _line(rows: Sequence[AnchorRow], method: str, reference: Sequence[AnchorRow]) -> list[str]:
    edges = mean_and_error([row.rates[0] for row in rows])[0]
    features = mean_and_error([sum(row.rates[1:]) / len(row.rates[1:]) for row in rows])[0]
    return [
        method,
        str(len(rows)),
        *_compared(rows, reference, lambda row: row.score),
        *_compared(rows, reference, lambda row: row.last_score),
        show(summarize(rows, lambda row: row.val_loss), 2),
        f"{edges:.2f}, {features:.2f}",
        f"{summarize(rows, lambda row: row.rewinds)[0]:.1f}",
        f"{summarize(rows, lambda row: row.seconds)[0] / 60:.1f}",
    ]
