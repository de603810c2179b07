"""`adaptive-dropout dashboard` against a stand-in for W&B's server, which has one project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adaptive_dropout.cli import main
from adaptive_dropout.tracking.wandb import server as wandb_module
from tests.tracking.wandb.stand_in import ENTITY, KEY, StoredRun, WandbServer, logged_in, wandb_server

PROJECT = "adaptive-dropout"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WandbServer]:
    folder = tmp_path_factory.mktemp("saving")
    with wandb_server() as server, logged_in(server, folder):
        server.runs["run"] = StoredRun(PROJECT, "run")
        yield server
        assert server.unknown == []


@pytest.fixture
def server(project: WandbServer) -> WandbServer:
    """The server, without dashboards and reports."""
    project.views.clear()
    return project


def dashboard(capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> str:
    """The one line that the command line printed, or complained of."""
    assert main(["dashboard", "--entity", ENTITY, *more]) == code
    out, err = capsys.readouterr()
    return str((err if code else out).splitlines()[-1])  # W&B says on standard error who is logged in


def test_the_dashboard_is_made_once_and_then_brought_up_to_date(
    server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    first = dashboard(capsys, "--project", PROJECT)
    (view,) = server.views
    assert (view.type, view.title, view.saves) == ("project-view", "Adaptive dropout", 1)
    assert first == f"{server.url}/{ENTITY}/{PROJECT}?nw={view.name.removeprefix('nw-').removesuffix('-v')}"
    view.title = "renamed"
    (runs,) = view.spec["section"]["runSets"]
    runs["search"]["query"] = "mine"
    view.spec["section"]["panelBankConfig"]["sections"] = []
    assert dashboard(capsys, "--project", PROJECT) == first
    assert server.views == [view]
    assert (view.title, view.saves) == ("Adaptive dropout", 2)
    assert len(view.spec["section"]["panelBankConfig"]["sections"]) == 5
    assert view.spec["section"]["runSets"][0]["search"]["query"] == "mine"


def test_a_report_is_new_each_time(server: WandbServer, capsys: pytest.CaptureFixture[str]) -> None:
    for count in (1, 2):
        assert "/reports/Dropout-rules-compared--" in dashboard(capsys, "--project", PROJECT, "--report")
        assert [(view.type, view.saves) for view in server.views] == [("runs", 1)] * count


@pytest.mark.parametrize("more", [[], ["--report"]], ids=["dashboard", "report"])
def test_an_unknown_project_is_named_and_not_created(
    server: WandbServer, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    complaint = dashboard(capsys, "--project", "nope", *more, code=2)
    assert complaint == f"adaptive-dropout: error: no project {ENTITY}/nope on W&B's server that you may see"
    assert server.views == []


@pytest.mark.slow
def test_no_network_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_module, "PATIENCE", 1)
    dead = WandbServer()
    dead.url = "http://127.0.0.1:9"
    with logged_in(dead, tmp_path):
        complaint = dashboard(capsys, "--project", PROJECT, code=2)
    assert complaint.startswith("adaptive-dropout: error: W&B's server did not take it: ")
    assert KEY not in complaint
