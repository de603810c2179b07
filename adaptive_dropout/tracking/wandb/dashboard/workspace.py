"""The dashboard of a project: one saved view in which rates, losses and decisions of its runs are seen at a look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wandb_workspaces import workspaces as ws

from adaptive_dropout.tracking.wandb.dashboard import panels
from adaptive_dropout.tracking.wandb.dashboard.panels import BEST, RULE
from adaptive_dropout.tracking.names import AXIS, CONFIG, SUMMARY

__all__ = ["workspace"]

NAME = "Adaptive dropout"


def workspace(entity: str, project: str) -> ws.Workspace:
    """Return the dashboard of ``entity/project``; nothing is sent anywhere.

    The best runs come first; the panels are those that `panels` has.
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


def _section(name: str, shown: Sequence[Any], columns: int) -> ws.Section:
    rows = -(-len(shown) // columns)
    layout = ws.SectionLayoutSettings(columns=columns, rows=rows)
    return ws.Section(name=name, panels=[*shown], is_open=True, layout_settings=layout)
