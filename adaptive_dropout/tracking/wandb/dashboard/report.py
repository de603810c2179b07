"""A report that compares the rules by which the runs of a project were steered: to be edited and sent to others."""

from __future__ import annotations

from typing import Any

from wandb_workspaces.reports import v2 as wr

from adaptive_dropout.tracking.wandb.dashboard import panels
from adaptive_dropout.tracking.wandb.dashboard.panels import RULE

__all__ = ["report"]

TITLE = "Dropout rules compared"
FIXED = "adaptive_dropout.FixedController"
INTRO = "Only runs on the same data, with the same network and for as many steps compare: filter both sets to those."
SAYS = {
    "Outcome": (
        "The lowest validation loss of each run. Those at fixed rates are the grid search that a steered run replaces; "
        "the seconds are those of all runs together."
    ),
    "On the way": "A rewind brings the best weights back; the gap is the validation loss minus the training loss.",
    "Rates": "A layer's rate is the probability with which it drops.",
    "Decisions": "Step, signals, rates before and after, and the reason in words.",
    "Sweeps": "From what was set to what came of it.",
}


def report(entity: str, project: str) -> wr.Report:
    """Return a report on two sets of runs, those at fixed rates and the steered ones; nothing is sent anywhere."""
    shown = (panels.bars(), panels.losses(), panels.rates(), panels.decisions(), panels.sweeps())
    blocks: list[Any] = [wr.P(INTRO), wr.TableOfContents()]
    for (head, says), part in zip(SAYS.items(), shown, strict=True):
        blocks += [wr.H2(head), wr.P(says), wr.PanelGrid(runsets=_runsets(), panels=part)]
    return wr.Report(entity=entity, project=project, title=TITLE, blocks=blocks)


def _runsets() -> list[wr.Runset]:
    # Without a project a set holds the runs of the report's own: to name that one, the server would have to be asked.
    rule = f"Config('{RULE}')"
    return [
        wr.Runset(name="fixed rates", filters=f"{rule} = '{FIXED}'"),
        wr.Runset(name="steered", filters=f"{rule} != '{FIXED}'"),
    ]
