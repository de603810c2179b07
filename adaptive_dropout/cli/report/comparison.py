"""The top of a report on several runs: what each run found, and what a grid search would have found."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from adaptive_dropout.cli.report.markup import image, number, paragraph, table
from adaptive_dropout.cli.report.reported import Reported
from adaptive_dropout.cli.report.section import spread
from adaptive_dropout.cli.report.words import in_words
from adaptive_dropout.plots import comparison_figure, grid_figure

__all__ = ["comparison"]


def comparison(runs: Sequence[Reported], anchors: Sequence[str]) -> str:
    """Return a table and figures of all ``runs``, with a link to the section of each."""
    warning = paragraph("These runs were not validated on the same: their losses do not compare.", "note")
    parts = ["" if _comparable(runs) else warning, _table(runs, anchors), _figures(runs)]
    return f'<section id="comparison"><h2>Comparison</h2>{"".join(parts)}</section>'


def _comparable(runs: Sequence[Reported]) -> bool:
    # A run without a configuration may have had any data.
    said = {in_words(run.config["data"]) for run in runs if "data" in run.config}
    return len(said) <= 1 and len({run.run.monitor for run in runs}) == 1


def _table(runs: Sequence[Reported], anchors: Sequence[str]) -> str:
    rows = [_row(run) for run in runs]
    losses = [run.best[1] for run in runs if run.best is not None]
    marked = [place for place, run in enumerate(runs) if run.best is not None and run.best[1] == min(losses)]
    return table(
        [
            "run",
            "best validation",
            "at step",
            "of",
            "rates at start",
            "at best",
            "at end",
            "rewinds",
            "restarts",
            "rule",
        ],
        rows,
        marked,
        anchors,
    )


def _row(reported: Reported) -> tuple[str, ...]:
    run, best = reported.run, reported.best
    step, loss = ("", "") if best is None else (str(best[0]), number(best[1]))
    last = run.decisions[-1].step if run.decisions else run.step
    rule = str(run.controller.get("class_path", "")).rpartition(".")[2]
    rates = (spread(run.rates), spread(reported.best_rates), spread(run.final_rates()))
    return (reported.name, loss, step, str(last), *rates, str(len(reported.rewinds)), str(len(reported.restarts)), rule)


def _figures(runs: Sequence[Reported]) -> str:
    histories = {run.name: run.history for run in runs}
    images = [image(comparison_figure(histories), "Mean dropout rate and validation loss of each run")]
    grid = _grid(runs)
    if len(grid) > 1:
        ways = {run.name: _way(run) for run in runs if not run.fixed}
        images.append(image(grid_figure(grid, ways), "Best validation loss over fixed rates, and of the adaptive runs"))
    return f'<div class="figures">{"".join(images)}</div>'


def _grid(runs: Sequence[Reported]) -> dict[float, list[float]]:
    grid: dict[float, list[float]] = {}
    for run in runs:
        if run.fixed and run.best is not None:
            grid.setdefault(fmean(run.run.rates.values()), []).append(run.best[1])
    return grid


def _way(reported: Reported) -> list[tuple[float, float]]:
    """Return the loss of each validation with the rates that the weights had been trained with until then."""
    return [
        (fmean(d.before.values()), d.signals["val_loss"]) for d in reported.run.decisions if "val_loss" in d.signals
    ]
