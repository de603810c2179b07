"""`wandb sweep` and `wandb agent` against a stand-in for the server, and what dashboards show of the runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from adaptive_dropout.cli import main
from adaptive_dropout.tracking.wandb.dashboard.pages import report, workspace
from adaptive_dropout.tracking.wandb.dashboard.saving import to_json
from tests.cli.commands import CONFIGS, CPU
from tests.tracking.wandb.stand_in import ENTITY, StoredRun, WandbServer, wandb_server

P = "model.init_args.network.init_args.dropout.init_args.p"
PROJECT = "adaptive-dropout"
TINY = [
    *CPU, "--trainer.max_epochs=1", "--data.init_args.n_train=64", "--model.init_args.network.init_args.hidden=[8,8]"
]  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WandbServer, Path]]:
    """The first and the last point of the grid, run by two agents at once in a folder that holds configs/."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "configs").symlink_to(CONFIGS)
    grid = yaml.safe_load((CONFIGS / "sweeps" / "grid.yaml").read_text())
    grid["command"] += TINY
    (folder / "tiny.yaml").write_text(yaml.safe_dump(grid))
    wandb = Path(sys.executable).with_name("wandb")
    with wandb_server() as server:
        ran(server, folder, str(wandb), "sweep", "tiny.yaml")
        (name,) = server.sweeps
        values = grid["parameters"][P]["values"]
        server.sweeps[name].points = [{P: values[0]}, {P: values[-1]}]
        command = [str(wandb), "agent", "--count", "1", f"{ENTITY}/{PROJECT}/{name}"]
        with ThreadPoolExecutor() as agents:
            list(agents.map(lambda _: ran(server, folder, *command), range(2)))
        assert server.unknown == []
        yield server, folder


def ran(server: WandbServer, folder: Path, *command: str) -> None:
    """Run ``command`` in a process of its own, which reaches nothing but the server."""
    environment = server.closed_environment(folder)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_grid_is_ten_fixed_rates_on_the_quickstart(swept: tuple[WandbServer, Path]) -> None:
    server, _ = swept
    (sweep,) = server.sweeps.values()
    config = yaml.safe_load(sweep.config)
    assert config["parameters"] == {P: {"values": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]}}
    assert (config["method"], config["metric"]["goal"]) == ("grid", "minimize")


@pytest.mark.slow
def test_the_agent_runs_two_points_at_their_rates(swept: tuple[WandbServer, Path]) -> None:
    server, _ = swept
    assert [run.sweep for run in server.runs.values()] == ["sweep0", "sweep0"]
    assert {run.summary["dropout_summary/rate"] for run in server.runs.values()} == {0.0, 0.9}
    for run in server.runs.values():
        p = run.config[P]
        assert run.config["dropout_control"]["controller"]["class_path"] == "adaptive_dropout.FixedController"
        assert run.config["dropout_control"]["rates"] == {"network.dropout1": p, "network.dropout2": p}
        assert run.summary["dropout_summary/rate"] == p
        assert run.summary["dropout_summary/best_val_loss"] > 0


@pytest.mark.slow
def test_the_searches_minimise_what_every_decision_logs(swept: tuple[WandbServer, Path]) -> None:
    server, _ = swept
    for file in sorted((CONFIGS / "sweeps").glob("*.yaml")):
        metric = yaml.safe_load(file.read_text())["metric"]["name"]
        for run in server.runs.values():
            assert len(run.rows(metric)) == run.summary["dropout_summary/decisions"] == 1


def test_the_search_that_learns_sets_rate_and_learning_rate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    sweep = yaml.safe_load((CONFIGS / "sweeps" / "bayes.yaml").read_text())
    command = sweep["command"][sweep["command"].index("fit") : -1]
    point = {P: 0.25, "model.init_args.optimizer.init_args.lr": 0.002}
    assert point.keys() == sweep["parameters"].keys()
    with pytest.raises(SystemExit):
        main([*command, *(f"--{key}={value}" for key, value in point.items()), "--print_config"])
    used = yaml.safe_load(capsys.readouterr().out)
    settings = used["model"]["init_args"]
    assert settings["network"]["init_args"]["dropout"]["init_args"]["p"] == 0.25
    assert settings["optimizer"]["init_args"]["lr"] == 0.002
    (control,) = used["trainer"]["callbacks"]
    assert control["init_args"]["controller"]["class_path"] == "adaptive_dropout.FixedController"


def test_hyperband_looks_at_a_run_before_it_ends() -> None:
    stopping = yaml.safe_load((CONFIGS / "sweeps" / "bayes.yaml").read_text())["early_terminate"]
    epochs = yaml.safe_load((CONFIGS / "quickstart.yaml").read_text())["trainer"]["max_epochs"]
    assert stopping["type"] == "hyperband"
    assert stopping["min_iter"] * stopping["eta"] ** 2 < epochs


@pytest.mark.slow
def test_all_that_dashboard_and_report_show_was_logged(swept: tuple[WandbServer, Path]) -> None:
    runs = [*swept[0].runs.values()]
    sections = json.loads(to_json(workspace(ENTITY, PROJECT)))["section"]["panelBankConfig"]["sections"]
    check_logged([panel for section in sections for panel in section["panels"]], runs)
    blocks = json.loads(to_json(report(ENTITY, PROJECT)))["blocks"]
    grids = [block["metadata"]["panelBankSectionConfig"] for block in blocks if block["type"] == "panel-grid"]
    check_logged([panel for grid in grids for panel in grid["panels"]], runs)


def check_logged(panels: list[dict[str, Any]], runs: list[StoredRun]) -> None:
    """Every name that a panel asks for is one that each of ``runs`` logged."""
    assert len(panels) == 10
    for run in runs:
        history = {key for row in run.history.values() for key in row}
        for panel in panels:
            config = panel["config"]
            asked = {config["xAxis"], *config["metrics"]} if panel["viewType"] == "Run History Line Plot" else set()
            asked |= set(config.get("mediaKeys", []))
            if panel["viewType"] == "Weave":
                assert '"dropout_decisions"' in json.dumps(config)
                asked.add("dropout_decisions")
            assert asked <= history, asked - history
            if "metricRegex" in config:
                rates = {key for key in history if re.search(config["metricRegex"], key)}
                assert rates == {"dropout/network_dropout1", "dropout/network_dropout2"}
            for address in addresses(panel):
                assert found(run, address) is not None, address


def addresses(panel: dict[str, Any]) -> list[str]:
    """Which numbers of the summary and which settings a panel compares."""
    config = panel["config"]
    if panel["viewType"] == "Bar Chart":
        return [*(f"summary:{key}" for key in config["metrics"]), f"config:{config.get('groupBy', 'dropout_control')}"]
    if panel["viewType"] == "Scatter Plot":
        return [config["xAxis"], config["yAxis"]]
    return [column["accessor"] for column in config.get("columns", [])]


def found(run: StoredRun, address: str) -> Any:
    """What W&B shows for an address such as "summary:loss" or "config:model.value.lr"."""
    section, name = address.split(":", 1)
    if section == "summary":
        return run.summary.get(name)
    key, *path = name.split(".")
    value = run.config[key]
    for part in path[1:]:  # path[0] is "value": W&B keeps each setting in an envelope
        value = value[part]
    return value
