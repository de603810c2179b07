"""Dashboards and reports as they are given to W&B's server, without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from adaptive_dropout.tracking.wandb.dashboard import panels
from adaptive_dropout.tracking.wandb.dashboard.pages import report, workspace
from adaptive_dropout.tracking.wandb.dashboard.saving import to_json

SWEEPS = Path(__file__).parents[3] / "configs" / "sweeps"


@pytest.fixture(autouse=True)
def _nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("it asked a server")

    monkeypatch.setattr("wandb.Api", asked)


def kinds(shown: list[dict[str, Any]]) -> list[str]:
    return [panel["viewType"] for panel in shown]


LINES, BARS, WAYS = "Run History Line Plot", "Bar Chart", "Parallel Coordinates Plot"
EXPECTED = {
    "Rates": [LINES],
    "Losses and rewinds": [LINES, LINES],
    "Decisions": ["Media Browser", "Weave"],
    "One run beside a grid": [BARS, "Scatter Plot", BARS, BARS],
    "Sweeps": [WAYS],
}


def test_the_dashboard_has_a_section_for_each_question() -> None:
    sections = json.loads(to_json(workspace("e", "p")))["section"]["panelBankConfig"]["sections"]
    assert {section["name"]: kinds(section["panels"]) for section in sections} == EXPECTED
    assert all(section["isOpen"] for section in sections)


def test_a_section_shows_all_of_its_panels_at_once() -> None:
    for section in json.loads(to_json(workspace("e", "p")))["section"]["panelBankConfig"]["sections"]:
        layout = section["flowConfig"]
        assert layout["columnsPerPage"] * layout["rowsPerPage"] >= len(section["panels"])


def test_the_report_has_the_panels_of_the_dashboard_under_headings() -> None:
    blocks = json.loads(to_json(report("e", "p")))["blocks"]
    grids = [block["metadata"] for block in blocks if block["type"] == "panel-grid"]
    shown = [kind for grid in grids for kind in kinds(grid["panelBankSectionConfig"]["panels"])]
    assert sorted(shown) == sorted(kind for section in EXPECTED.values() for kind in section)
    headings = [block["children"][0]["text"] for block in blocks if block["type"] == "heading"]
    assert headings == ["Outcome", "On the way", "Rates", "Decisions", "Sweeps"]


def test_every_run_is_in_one_of_the_reports_sets() -> None:
    blocks = json.loads(to_json(report("e", "p")))["blocks"]
    for grid in [block["metadata"] for block in blocks if block["type"] == "panel-grid"]:
        filters = [runs["filters"]["filters"] for runs in grid["runSets"]]
        assert [(f["key"]["section"], f["key"]["name"], f["op"], f["value"]) for [f] in filters] == [
            ("config", panels.RULE, "=", "adaptive_dropout.FixedController"),
            ("config", panels.RULE, "!=", "adaptive_dropout.FixedController"),
        ]


def test_ten_runs_and_the_one_that_replaces_them_fit_into_a_plot() -> None:
    plots = [*panels.rates(), *panels.losses(), *(bar for bar in panels.bars() if hasattr(bar, "max_runs_to_show"))]
    runs = len(
        yaml.safe_load((SWEEPS / "grid.yaml").read_text())["parameters"][panels.SETTINGS["rate at start"]]["values"]
    )
    assert len(plots) == 6
    assert all(plot.max_runs_to_show > runs for plot in plots)


def test_what_the_sweeps_set_has_a_line_in_the_parallel_coordinates() -> None:
    for name in ("grid", "bayes"):
        swept = yaml.safe_load((SWEEPS / f"{name}.yaml").read_text())["parameters"]
        assert swept.keys() <= set(panels.SETTINGS.values())


def test_a_wandb_workspaces_of_another_version_is_told_in_one_line() -> None:
    with pytest.raises(ImportError, match=r"this version of wandb-workspaces is not known: pip install"):
        to_json(cast(Any, object()))
