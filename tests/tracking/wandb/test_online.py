"""A run that is logged to a server, here a stand-in on the loopback interface, and read back from it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adaptive_dropout.tracking import Run, read_run
from adaptive_dropout.tracking.names import TRACE
from adaptive_dropout.tracking.wandb import server as wandb_module
from tests.tracking.wandb.stand_in import ENTITY, StoredRun, WandbServer, logged_in, wandb_server

pytestmark = pytest.mark.slow


SCRIPT = """
import socket
connect = socket.socket.connect
def loopback_only(self, address):
    assert isinstance(address, (str, bytes)) or address[0] in ("127.0.0.1", "::1", "localhost"), f"went to {address}"
    return connect(self, address)
socket.socket.connect = loopback_only

import warnings
warnings.filterwarnings("ignore")
import lightning.pytorch as L
from torch import nn
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.data import Digits
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from adaptive_dropout.tracking import WandbLogger

L.seed_everything(0)
logger = WandbLogger(project="demo", save_dir="runs", log_model=True)
model = Classifier(MLP(64, 10, (16,), dropout=lambda: nn.Dropout(0.3)), num_classes=10)
checkpoint = L.callbacks.ModelCheckpoint(monitor="val_loss")
trainer = L.Trainer(
    max_epochs=20, callbacks=[AdaptiveDropout(), checkpoint], logger=logger, accelerator="cpu",
    enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1,
)
trainer.fit(model, Digits(n_train=64))
"""


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WandbServer, StoredRun, Path]]:
    """An adaptive run, its server and its folder."""
    folder = tmp_path_factory.mktemp("online")
    with wandb_server() as server:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True, text=True, check=False,
            env=server.closed_environment(folder),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert server.unknown == []
        (run,) = server.runs.values()
        yield server, run, folder


def local(folder: Path) -> Run:
    (file,) = folder.glob("runs/demo/*/decisions.jsonl")
    return read_run(file)


def test_the_history_has_every_decision_with_the_rates(online: tuple[WandbServer, StoredRun, Path]) -> None:
    _, run, folder = online
    decisions = local(folder).decisions
    assert len(decisions) == 20
    rows = run.rows("dropout_control/val_loss")
    assert [row["dropout_control/step"] for row in rows] == [decision.step for decision in decisions]
    assert [row["dropout/network_dropout1"] for row in rows] == [d.after["network.dropout1"] for d in decisions]
    assert all(row["dropout_control/rates"]["_type"] == "histogram" for row in rows)
    assert all(row["trainer/global_step"] == row["dropout_control/step"] - 1 for row in rows)


def test_the_configuration_has_the_controller_its_settings_and_the_rates_at_start(
    online: tuple[WandbServer, StoredRun, Path],
) -> None:
    _, run, folder = online
    recorded = local(folder)
    assert run.config["dropout_control"] == {
        "controller": recorded.controller,
        "monitor": "val_loss",
        "rates": {"network.dropout1": 0.2},
    }


def test_the_axes_are_defined(online: tuple[WandbServer, StoredRun, Path]) -> None:
    _, run, _ = online
    # W&B stores them as numbered fields: 1 is a name, 2 a glob, 4 a summary, 5 the place of the axis, from 1 on.
    axes = run.config["_wandb"]["m"]
    names = [axis.get("1", axis.get("2")) for axis in axes]
    place = names.index("trainer/global_step") + 1
    for name in ("dropout/*", "dropout_control/*"):
        assert axes[names.index(name)]["5"] == place, name


def test_the_summary_has_what_became_of_it(online: tuple[WandbServer, StoredRun, Path]) -> None:
    _, run, folder = online
    decisions = local(folder).decisions
    assert run.summary["dropout_summary/final/network_dropout1"] == decisions[-1].after["network.dropout1"]
    assert run.summary["dropout_summary/best_val_loss"] == min(d.signals["val_loss"] for d in decisions)
    assert run.summary["dropout_summary/decisions"] == 20
    assert run.summary["dropout_summary/cost_ratio"] > 1
    assert TRACE not in run.summary


def test_table_and_figure_are_uploaded(online: tuple[WandbServer, StoredRun, Path]) -> None:
    server, run, folder = online
    (row,) = run.rows("dropout_decisions")
    table = json.loads(run.files[row["dropout_decisions"]["path"]])
    assert table["columns"][:2] == ["step", "reason"]
    assert [line[0] for line in table["data"]] == [decision.step for decision in local(folder).decisions]
    figure = run.files[row["dropout_rates"]["path"]]
    assert figure.startswith(b"\x89PNG")
    assert len(figure) > 10_000
    assert [artifact.type for artifact in server.artifacts].count("run_table") == 1


def test_the_best_checkpoint_is_an_artifact_with_its_rates(online: tuple[WandbServer, StoredRun, Path]) -> None:
    server, _, folder = online
    (model,) = [artifact for artifact in server.artifacts if artifact.type == "model"]
    recorded = local(folder)
    best = recorded.best()
    assert best is not None
    assert model.metadata["dropout_rates"] == best.before
    assert model.metadata["val_loss"] == best.signals["val_loss"]
    assert set(model.aliases) == {"best", "latest"}
    assert len(model.files["model.ckpt"]) > 1000


def test_the_run_read_back_from_the_server_is_the_one_on_disk(
    online: tuple[WandbServer, StoredRun, Path],
) -> None:
    server, run, folder = online
    with logged_in(server, folder):
        assert read_run(f"{ENTITY}/demo/{run.name}").lines() == local(folder).lines()


def test_an_unknown_run_a_foreign_one_and_no_network_are_one_line_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wandb_server() as server, logged_in(server, tmp_path):
        server.runs["foreign"] = StoredRun("demo", "foreign", history={0: {"loss": 1.0}})
        unknown, foreign = complaint("demo/unknown"), complaint("demo/foreign")
    assert unknown == f"FileNotFoundError no folder '{ENTITY}/demo/unknown' here, and no such run on W&B's server"
    assert foreign.startswith(f"ValueError '{ENTITY}/demo/foreign' holds no decisions of this library")
    monkeypatch.setattr(wandb_module, "PATIENCE", 1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = WandbServer()
        dead.url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with logged_in(dead, tmp_path):
            lost = complaint("demo/any")
    assert lost.startswith(f"ConnectionError no folder '{ENTITY}/demo/any' here, and W&B's server does not answer")
    assert "\n" not in lost


def complaint(run: str) -> str:
    """The error of reading ``run``."""
    with pytest.raises((OSError, ValueError)) as error:
        read_run(f"{ENTITY}/{run}")
    return f"{error.type.__name__} {error.value}"
