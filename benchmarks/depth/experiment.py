"""The profiles that are compared, and how the results are shown: what each seed chose, what it gained, loss by mean."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from adaptive_dropout.plots.look import SIZE, finish, legend_below, looks
from benchmarks.depth.gain import Chosen, Sweeps, choose, find_sweeps, gain_of_tilt, oracle, oracle_gain
from benchmarks.depth.profile import tilted
from benchmarks.depth.tasks import TASKS
from benchmarks.report.markdown import show, table
from benchmarks.report.page import Page, Rows, by_method, write_page
from benchmarks.study.command import Experiment
from benchmarks.study.statistics import mean_and_error, summarize
from benchmarks.study.study import Kinds, Study
from benchmarks.supervised.method import none
from benchmarks.supervised.training import TrainedRow, train

__all__ = ["DEPTH", "METHODS", "PAGE"]

METHODS: Kinds = {"none": none, "tilted": tilted}
"""Every kind of method by its name."""

_INTRODUCTION = """Fixed rates over depth at ten means, five where a run is long: all alike (tilt 0), falling by 3
logits from the first layer to the last (+3), or rising (-3). Test NLL in nats of the weights with the lowest validation
loss; each seed chooses its mean by validation, no dropout included. Differences are of pairs of the same seed, in
brackets the standard error, below 0 is better. The oracle chooses by validation among all tilts and means; a part of
its gain is the luck of three times as many draws, which the rows of a single tilt do not have."""


def _tables(study: Study, rows: Rows) -> str:
    sections = []
    for task in study.tasks:
        found = by_method(rows, task.name)
        sweeps = find_sweeps(study, found)
        if chosen := choose(sweeps):
            lines = [*_choices(chosen), "", *_losses(sweeps), *_list_missing(study, found)]
            sections.append("\n".join([f"### {study.name}: {task.name}\n", *lines]))
    return "\n\n".join(sections)


def _choices(chosen: Mapping[int, Chosen]) -> list[str]:
    """Return a line for each tilt, the highest test loss first, and one for the oracle."""
    tilts = next(iter(chosen.values()))
    lines = {tilt: _line(_sign(tilt), [each[tilt] for each in chosen.values()]) for tilt in tilts}
    order = sorted(tilts, key=lambda tilt: -_mean_loss([each[tilt] for each in chosen.values()]))
    body = [[*lines[tilt], show(gain_of_tilt(chosen, tilt) or (math.nan, math.nan), 4, "+")] for tilt in order]
    best = [(oracle(each), each) for each in chosen.values()]
    name = f"oracle: {', '.join(_sign(tilt) for tilt, _ in best)}"
    gain = show(oracle_gain(chosen) or (math.nan, math.nan), 4, "+")
    body.append([*_line(name, [each[tilt] for tilt, each in best]), gain])
    return table(("tilt", "seeds", "chosen means", "validation NLL", "test NLL", "minus tilt 0's"), body)


def _line(name: str, choices: Sequence[tuple[float, TrainedRow]]) -> list[str]:
    rows = [row for _, row in choices]
    losses = (show(summarize(rows, value), 4) for value in (lambda row: row.val_loss, lambda row: row.test_loss))
    return [name, str(len(rows)), ", ".join(f"{mean:g}" for mean, _ in choices), *losses]


def _mean_loss(choices: Sequence[tuple[float, TrainedRow]]) -> float:
    return mean_and_error([row.test_loss for _, row in choices])[0]


def _losses(sweeps: Sweeps) -> list[str]:
    means = sorted({mean for by_mean in sweeps.values() for mean in by_mean})
    body = [[_sign(tilt), *(_loss(sweeps[tilt], mean) for mean in means)] for tilt in sweeps]
    return table(["test NLL at mean", *(f"{mean:g}" for mean in means)], body)


def _loss(by_mean: Mapping[float, Sequence[TrainedRow]], mean: float) -> str:
    return f"{summarize(by_mean[mean], lambda row: row.test_loss)[0]:.4f}" if mean in by_mean else ""


def _list_missing(study: Study, found: Mapping[str, Sequence[TrainedRow]]) -> Iterator[str]:
    """Yield a line that counts the runs, and one for each tilt that lacks some, by mean with the number of seeds."""
    expected = len(study.methods) * len(study.seeds)
    run = sum(len(found.get(method.name, [])) for method in study.methods)
    if run == expected:
        return
    yield f"\n{run} of {expected} runs; not run, with the number of seeds:"
    short: dict[str, list[tuple[float, int]]] = {}
    for method in study.methods:
        if count := len(study.seeds) - len(found.get(method.name, [])):
            name = f"tilt {_sign(method.settings['tilt'])}" if method.settings else "no dropout"
            short.setdefault(name, []).append((method.settings.get("p", 0.0), count))
    for name, means in sorted(short.items()):
        yield f"\n- {name}: " + ", ".join(f"mean {mean:g} ({count})" for mean, count in sorted(means))


def _sign(tilt: float) -> str:
    return f"{tilt:+g}" if tilt else "0"


def _figure(study: Study, methods: Mapping[str, Sequence[TrainedRow]], title: str) -> dict[str, Figure]:
    """Return test NLL over the mean rate, a line a tilt, with standard errors; none if no tilt was run."""
    sweeps = find_sweeps(study, methods)
    if not sweeps:
        return {}
    figure = Figure(figsize=(SIZE[0], 1.2 * SIZE[1]), layout="constrained")
    axes = figure.subplots()
    for (tilt, by_mean), look in zip(sweeps.items(), looks(), strict=False):
        spreads = [summarize(rows, lambda row: row.test_loss) for rows in by_mean.values()]
        errors = [0.0 if math.isnan(error) else error for _, error in spreads]
        name = {-1: "rising over depth", 0: "the same everywhere", 1: "falling over depth"}[(tilt > 0) - (tilt < 0)]
        losses = [mean for mean, _ in spreads]
        axes.errorbar(list(by_mean), losses, errors, label=f"tilt {tilt:g}: {name}", capsize=2, marker=".", **look)
    axes.set(xlabel="mean drop probability", ylabel="test NLL, nats", title=title)
    finish(axes)
    legend_below(figure, axes)
    return {"tilts": figure}


PAGE = Page("depth", "Rates over depth", _INTRODUCTION, _tables, _figure)
"""The report on this question."""

DEPTH = Experiment(Path(__file__).parent, TASKS, METHODS, TrainedRow, train, functools.partial(write_page, PAGE))
"""The question and its studies."""
