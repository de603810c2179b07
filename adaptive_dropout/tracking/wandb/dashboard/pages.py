"""The two pages made of the panels: the dashboard of a project, and a report that compares its rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wandb_workspaces import workspaces as ws
from wandb_workspaces.reports import v2 as wr

from adaptive_dropout.tracking.names import AXIS, CONFIG, SUMMARY
from adaptive_dropout.tracking.wandb.dashboard import panels
from adaptive_dropout.tracking.wandb.dashboard.panels import BEST, RULE

__all__ = ["report", "workspace"]

NAME = "Adaptive dropout"
TITLE = "Dropout rules compared"
FIXED = "adaptive_dropout.FixedController"
INTRO = (
    "Compare only runs on the same data, with the same network and for as many steps: set the filters of both run sets "
    "accordingly."
)
TEXTS = {
    "Outcome": (
        "The lowest validation loss of each run. The runs at fixed rates are the grid search that a steered run "
        "replaces; the seconds are the sum over all runs."
    ),
    "On the way": "A rewind restores the best weights; the gap is the validation loss minus the training loss.",
    "Rates": "The rate of a layer is the probability with which it drops.",
    "Decisions": "Step, signals, rates before and after, and the reason in words.",
    "Sweeps": "From the settings to the best validation loss.",
}


def workspace(entity: str, project: str) -> ws.Workspace:
    """Return the dashboard of ``entity/project``; nothing is sent anywhere.

    It shows rates, losses and decisions of the runs, the best runs first.
    """
    sections = [
        _section("Rates", panels.rates(), columns=1),
        _section("Losses and rewinds", panels.losses(), columns=2),
        _section("Decisions", panels.decisions(), columns=1),
        _section("One run beside a grid", panels.bars(), columns=2),
        _section("Sweeps", panels.sweeps(), columns=1),
    ]
    rule = RULE.replace(CONFIG, f"{CONFIG}.value", 1)  # as the table of runs spells it
    shown = [f"summary:{SUMMARY}/{name}" for name in ("best_val_loss", "rate", "rewinds", "cost_ratio")]
    runs = ws.RunsetSettings(
        order=[ws.Ordering(ws.Summary(BEST), ascending=True)], pinned_columns=[f"config:{rule}", *shown]
    )
    return ws.Workspace(
        entity=entity, project=project, name=NAME, sections=sections, runset_settings=runs,
        settings=ws.WorkspaceSettings(x_axis=AXIS, max_runs=20),
    )  # fmt: skip


def report(entity: str, project: str) -> wr.Report:
    """Return a report on two sets of runs, at fixed rates and steered; nothing is sent anywhere."""
    shown = (panels.bars(), panels.losses(), panels.rates(), panels.decisions(), panels.sweeps())
    blocks: list[Any] = [wr.P(INTRO), wr.TableOfContents()]
    for (heading, text), part in zip(TEXTS.items(), shown, strict=True):
        blocks += [wr.H2(heading), wr.P(text), wr.PanelGrid(runsets=_runsets(), panels=part)]
    return wr.Report(entity=entity, project=project, title=TITLE, blocks=blocks)


def _section(name: str, shown: Sequence[Any], columns: int) -> ws.Section:
    rows = -(-len(shown) // columns)
    layout = ws.SectionLayoutSettings(columns=columns, rows=rows)
    return ws.Section(name=name, panels=[*shown], is_open=True, layout_settings=layout)


def _runsets() -> list[wr.Runset]:
    # Without a project, a set holds the runs of the report's own project; naming it would mean asking the server.
    rule = f"Config('{RULE}')"
    return [
        wr.Runset(name="fixed rates", filters=f"{rule} = '{FIXED}'"),
        wr.Runset(name="steered", filters=f"{rule} != '{FIXED}'"),
    ]
