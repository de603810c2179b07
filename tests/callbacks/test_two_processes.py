"""Training in two processes that Lightning starts itself, as from a user's shell: whole models, and sharded ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

SCRIPT = """
import json
import sys
import lightning.pytorch as L
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.fsdp import fully_shard
import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.cli import main
from adaptive_dropout.data import Digits
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier

class Sharded(Classifier):
    def configure_model(self):
        fully_shard(self.network, mesh=self.device_mesh["data_parallel"])

model = Sharded(MLP(64, 10, dropout=lambda: ad.Dropout(0.6)), 10)
control = DropoutRateControl(ad.PlateauController(patience=1, min_delta=1.0))
trainer = L.Trainer(
    accelerator="cpu", devices=2, strategy=ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1),
    max_epochs=8, callbacks=[control], logger=False, enable_progress_bar=False, enable_model_summary=False,
    enable_checkpointing=False, default_root_dir="sharded",
)
trainer.fit(model, Digits(n_train=100))
model.network.reshard()
kinds = {type(weight).__name__ for weight in model.parameters()}
with open(f"rank{trainer.global_rank}.json", "w") as file:
    json.dump({"rates": ad.get_rates(model), "kinds": sorted(kinds)}, file)

sys.exit(main())
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A sharded model and then the command line, in one pair of processes: their folder, and what the first wrote."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "script.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    axes = ("data/digits", "dropout/standard", "control/rewind", "logger/csv", "trainer/quick")
    configs = [word for axis in axes for word in ("--config", str(ROOT / "configs" / f"{axis}.yaml"))]
    two = ["--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"]
    command = [sys.executable, "-W", "ignore", "script.py", "fit", *configs, *two]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder, done.stdout


def decisions(folder: Path) -> list[dict[str, object]]:
    """Return the lines of the one file of decisions under ``folder``."""
    (file,) = folder.rglob("decisions.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_command_line_trains_in_two_processes_and_tells_it_once(trained: tuple[Path, str]) -> None:
    folder, out = trained
    head, *lines = decisions(folder / "runs")
    steps = [line["step"] for line in lines]
    assert "controller" in head
    assert steps
    assert steps == sorted(set(steps))  # by one of the two
    assert out.count("rates of the run") == 1


def test_a_rule_that_never_rewinds_steers_a_sharded_model(trained: tuple[Path, str]) -> None:
    folder, _ = trained
    first, second = (json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first["kinds"] == ["DTensor"]
    _, *lines = decisions(folder / "sharded")
    assert len(lines) == 8
    assert len(set(first["rates"].values())) == 1
    assert 0.6 not in first["rates"].values()
