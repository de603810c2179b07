"""``adaptive-dropout replay``: what another controller would have decided on the signals of a run, in seconds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.table import Table

from adaptive_dropout.cli.errors import one_line
from adaptive_dropout.cli.garbage import uncollected
from adaptive_dropout.cli.setup import command_parser, only_names
from adaptive_dropout.cli.terminal import cells, warn
from adaptive_dropout.controllers import Controller, State, controller_from_dict
from adaptive_dropout.controllers.serialization import public_controllers
from adaptive_dropout.plots import run_figure
from adaptive_dropout.tracking import History, Point, Run, read_run
from adaptive_dropout.tracking.folders import check_file
from adaptive_dropout.tracking.run import replay_one_by_one
from adaptive_dropout.tracking.telling import telling

__all__ = ["replay"]

ROWS = 1000  # of decisions; rich takes a millisecond for each


@uncollected()
def replay(arguments: Sequence[str]) -> None:
    """Read the run that ``arguments`` name, replay it, print the table and write the figure.

    Raises:
        Exception: of any kind, if the arguments or the run are wrong, or the controller does not suit the run.
    """
    _check_controller_name(arguments)
    parser = _parser()
    given = parser.parse_args(list(arguments))
    check_file(given.output)
    run = _read(given.run)
    named = parser.instantiate(given).controller
    try:
        controller = named or controller_from_dict(run.controller)
        states = [_decision_of(state) for state in replay_one_by_one(run, controller)]
    except Exception as error:  # settings, a state or signals that no run could have written
        raise ValueError(f"{given.run}: {one_line(error)}") from error
    name = type(controller).__name__
    Console().print(_table(run, states, name), _outcome(run, states, name), sep="\n")
    decided = list(zip(run.decisions, states[1:], strict=True))
    rewinds, restarts = ([d.step for d, s in decided if getattr(s, flag)] for flag in ("rewind", "restart"))
    title = f"rates of the run, and of {name} on its signals"
    run_figure(_both(run, states, name), title, rewinds, restarts).savefig(given.output, dpi=150)
    print(f"figure  {given.output}")


def _parser() -> ArgumentParser:
    does = "Show what another controller would have decided on the signals of a run."
    named = f"Controllers: {', '.join(public_controllers())}, or the path of a class of yours."
    parser = command_parser("replay", does, epilog=named)
    parser.add_argument("run", help="folder of a run, its decisions.jsonl, a .wandb file, or entity/project/run")
    parser.add_subclass_arguments(
        Controller, "controller", required=False, help="the rule; that of the run if left out. --controller.KEY sets it"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("replay.png"), help="the figure; replay.png")
    return only_names(parser)


def _check_controller_name(arguments: Sequence[str]) -> None:
    known = public_controllers()
    for flag, name in pairwise(arguments):
        if flag == "--controller" and "." not in name and name not in known:
            raise ValueError(f"no controller {name!r}; there are {', '.join(known)}, and classes by their path")


def _read(name: str) -> Run:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        run = read_run(name)
    for warning in caught:
        warn(warning.message)
    return run


def _decision_of(state: State) -> State:
    """Return ``state`` without what the rule remembers: a hundred thousand of these are in memory together."""
    return State(state.rates, state.improved, state.rewind, state.restart, state.reason)


def _table(run: Run, states: Sequence[State], name: str) -> Table:
    table = Table("step", title=f"mean rate of the run, and of {name} on its signals", title_justify="left")
    for column in ("validation", "training", "run", name):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(f"reason of {name}")
    shown = telling(run.decisions, ROWS)
    if len(shown) < len(run.decisions):
        table.caption = f"{len(shown)} of {len(run.decisions)} decisions"
    for decision, state in ((run.decisions[place], states[place + 1]) for place in shown):
        losses = (_loss(decision.signals[n]) if n in decision.signals else "" for n in ("val_loss", "train_loss"))
        rates = (f"{_mean(rates):.3f}" for rates in (decision.after, state.rates))
        table.add_row(*cells(str(decision.step), *losses, *rates, state.reason))
    return table


def _loss(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.4g}"


def _outcome(run: Run, states: Sequence[State], name: str) -> str:
    differing = sum(d.after != state.rates for d, state in zip(run.decisions, states[1:], strict=True))
    if not differing:
        return f"{name} decides as the run did, {len(run.decisions)} of {len(run.decisions)} times"
    return (
        f"{name} has other rates after {differing} of {len(run.decisions)} decisions, on signals that they would change"
    )


def _both(run: Run, states: Sequence[State], name: str) -> History:
    """Return the history of the run with the rates of both, each under its own name."""
    steps = [run.step, *(decision.step for decision in run.decisions)]
    replayed_rates = dict(zip(steps, (state.rates for state in states), strict=True))
    ours, others = ({rate: f"{rate}, {of}" for rate in run.rates} for of in ("run", name))
    points = []
    for point in run.history().points:
        ran = {ours[rate]: p for rate, p in point.rates.items()}
        other = {others[rate]: p for rate, p in replayed_rates[point.step].items()}
        points.append(Point(point.step, ran | other, point.train_loss, point.val_loss))
    return History(points)


def _mean(rates: Mapping[str, float]) -> float:
    return fmean(rates.values())
