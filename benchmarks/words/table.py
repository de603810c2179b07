"""The results beside the published perplexities, as Markdown: what loses stands first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.anchors.cells import AnchorRow
from benchmarks.report.markdown import show, show_places, table
from benchmarks.study.cells import select_rows
from benchmarks.study.statistics import mean_and_error, paired_difference, summarize
from benchmarks.study.study import Study

__all__ = ["write_page"]

HEAD = """Words of the Penn Treebank. Published test perplexities, of the whole text: **114.5** without dropout (200
units), **82.7** with dropout of .5 between layers (650 units, 39 epochs; Zaremba, Sutskever and Vinyals 2014, table 1),
and **58.8** of AWD-LSTM (Merity, Keskar and Socher 2018), which has three layers, tied weights and 1150 units, and
trains for hundreds of epochs. Where a study below has less text, fewer units or fewer epochs, its numbers compare with
each other only. Every run is tested with the weights of the lowest validation loss. "Worse by" is the difference to
`between`, dropout of .5 between layers, with the same seeds; in brackets standard errors over seeds, where there are
several. "Ended at" is p at the end: of words, of the first locked dropout, of recurrent weights, of the other two; for
`none` and `between` of the three layers of dropout. `apart` is one run of `AdaptiveDropout` with hypergradients,
`steered` one of its default rule. Minutes are processor time of one process."""

HEADER = ("method", "seeds", "test perplexity", "validation", "worse by", "ended at", "rewinds", "best at", "minutes")
REFERENCE = "between"


def write_page(studies: Sequence[Study], rows: Sequence[AnchorRow], folder: Path) -> None:
    """Write ``table.md`` into ``folder``: a section for each study."""
    parts = ["# Words", HEAD, *(_section(study, rows) for study in studies), show_places(rows)]
    (folder / "table.md").write_text("\n\n".join(parts) + "\n")


def _section(study: Study, rows: Sequence[AnchorRow]) -> str:
    found = {method: lines for (_, method), lines in select_rows(study, rows).items()}
    order = sorted(found, key=lambda method: -summarize(found[method], lambda row: row.score)[0])
    settings = ", ".join(f"{name} {value}" for task in study.tasks for name, value in task.settings.items())
    lines = "\n".join(table(HEADER, (_line(found[method], method, found.get(REFERENCE, ())) for method in order)))
    left = [f"{m.name} ({len(study.seeds) - len(found.get(m.name, ()))})" for m in study.methods]
    missing = [
        text for text, m in zip(left, study.methods, strict=True) if len(found.get(m.name, ())) < len(study.seeds)
    ]
    end = f"Not run, with the number of seeds: {', '.join(missing)}." if missing else "All runs of the study are here."
    return "\n\n".join([f"## {study.name}", f"Settings: {settings}.", lines if found else "No runs.", end])


def _line(rows: Sequence[AnchorRow], method: str, reference: Sequence[AnchorRow]) -> list[str]:
    difference = None if method == REFERENCE else paired_difference(rows, reference, lambda row: row.score)
    layers = zip(*(row.rates for row in rows), strict=True)
    return [
        method,
        str(len(rows)),
        show(summarize(rows, lambda row: row.score), 1),
        show(summarize(rows, lambda row: math.exp(row.val_loss)), 1),
        "" if difference is None else show(difference, 1, "+"),
        ", ".join(f"{mean_and_error(rates)[0]:.2f}" for rates in layers),
        f"{summarize(rows, lambda row: row.rewinds)[0]:.1f}",
        f"{summarize(rows, lambda row: row.best_at)[0]:.0f}",
        f"{summarize(rows, lambda row: row.seconds)[0] / 60:.1f}",
    ]
