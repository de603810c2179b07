"""The command: say how many runs there are, train the missing ones, and print the table."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from itertools import product
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from adaptive_dropout.checks import check_count, check_p
from adaptive_dropout.cli.setup import quieten
from adaptive_dropout.cli.tune.choice import Choice, choose
from adaptive_dropout.cli.tune.trial import Trial
from adaptive_dropout.cli.tune.trials import Trials
from adaptive_dropout.processes import run_in_processes

__all__ = ["tune"]


def tune(arguments: Sequence[str]) -> None:
    """Cross-validate what ``arguments`` configure, as for ``fit``, at each rate; print the table and the choice.

    Each run is trained in a process with one thread, ``--jobs`` of them at a time; their number changes no result.
    The same command continues after it was stopped in any way.

    Raises:
        Exception: what is wrong with the arguments, before any training where that can be known.
    """
    quieten()
    first = Trial(arguments)
    folds = check_count(first.config["folds"], "folds", least=2)
    jobs = check_count(first.config["jobs"], "jobs")
    rates = sorted({check_p(p, "a rate") for p in first.config["rates"]})
    trials = Trials(first.config["output"], first.configuration)
    runs = list(product(range(folds), rates))  # fold by fold, so that a search stopped early has every rate
    missing = [(fold, p) for fold, p in runs if trials.get(p, fold) is None]
    console = Console()
    found = f", {len(runs) - len(missing)} of them already done" if len(missing) < len(runs) else ""
    console.print(f"{len(rates)} rates x {folds} folds = {len(runs)} training runs{found}", highlight=False)
    if missing:
        first.datamodule.prepare_data()  # once, before several processes would download at the same time
    finished = run_in_processes(functools.partial(_train, tuple(arguments), folds), missing, jobs)
    with _progress() as progress, contextlib.closing(finished):
        for (fold, p), val_loss in progress.track(finished, total=len(missing), description=""):
            if isinstance(val_loss, Exception):
                raise RuntimeError(f"training with p = {p:g} failed in fold {fold}: {val_loss}")
            trials.put(p, fold, val_loss)
    losses = {p: [loss for fold in range(folds) if (loss := trials.get(p, fold)) is not None] for p in rates}
    choice = choose(losses)
    console.print(_table(choice, folds), *_describe(choice), sep="\n", soft_wrap=True, highlight=False)
    console.print(f"runs  {trials.folder}", soft_wrap=True, highlight=False, markup=False)


def _train(arguments: Sequence[str], folds: int, run: tuple[int, float]) -> Any:
    fold, p = run
    quieten()
    return Trial(arguments).val_loss(p, fold, folds)


def _progress() -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("training runs,"), TimeElapsedColumn())
    return Progress(
        *columns, TextColumn("so far,"), TimeRemainingColumn(), TextColumn("left"), console=Console(stderr=True)
    )


def _table(choice: Choice, folds: int) -> Table:
    table = Table("p", title=f"validation loss over {folds} folds", title_justify="left")
    for column in ("mean", "standard error"):
        table.add_column(column, justify="right")
    table.add_column("")
    for p, score in choice.scores.items():
        marks = [
            name for name, rate in (("lowest", choice.best), ("one standard error", choice.strongest)) if rate == p
        ]
        table.add_row(f"{p:g}", f"{score.mean:.4f}", f"{score.error:.4f}", ", ".join(marks))
    return table


def _describe(choice: Choice) -> tuple[str, str]:
    return (
        f"chosen  p = {choice.best:g}, the lowest mean",
        f"by the rule of one standard error  p = {choice.strongest:g}, the strongest dropout as good within it",
    )
