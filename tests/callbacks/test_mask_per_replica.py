"""Lightning seeds all processes alike: by default they drop alike, and with the callback each replica by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import adaptive_dropout as ad
from adaptive_dropout.callbacks import MaskPerReplica
from tests.callbacks.toy import Toy, fit

ROOT = Path(__file__).parents[2]

SCRIPT = """
import json
import lightning.pytorch as L
import torch
import adaptive_dropout as ad
from adaptive_dropout.callbacks import MaskPerReplica

class Model(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight, self.drop, self.lost = torch.nn.Parameter(torch.ones(2000)), ad.Dropout(0.5), None
    def training_step(self, batch):
        y = self.drop(self.weight)
        self.lost = (y == 0).int().tolist()
        return y.sum()
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.0)

seen = []
for callbacks in ([], [MaskPerReplica()]):
    L.seed_everything(3, verbose=False)
    model = Model()
    trainer = L.Trainer(accelerator="cpu", devices=2, strategy="ddp", max_steps=1, callbacks=callbacks, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False)
    trainer.fit(model, torch.utils.data.DataLoader(torch.zeros(4, 1)))
    seen.append(model.lost)
with open(f"rank{trainer.global_rank}.json", "w") as file:
    json.dump([*seen, ad.get_replica()], file)
"""


def on(**sampler: int) -> Any:
    """A trainer whose strategy says this to the sampler of the data."""
    return SimpleNamespace(strategy=SimpleNamespace(distributed_sampler_kwargs=sampler))


def test_a_process_is_the_replica_whose_data_it_gets_while_the_trainer_runs() -> None:
    callback, module = MaskPerReplica(), SimpleNamespace()
    ad.set_replica(7)
    for _ in range(2):  # validation sets up again
        callback.setup(on(num_replicas=4, rank=2), module, "fit")  # type: ignore[arg-type]
        assert ad.get_replica() == 2
    for _ in range(2):
        callback.teardown(on(num_replicas=4, rank=2), module, "fit")  # type: ignore[arg-type]
        assert ad.get_replica() == 7
    ad.set_replica(0)


def test_one_process_is_replica_0(tmp_path: Path) -> None:
    numbers = []

    class Look(MaskPerReplica):
        def on_train_start(self, *_: Any) -> None:
            numbers.append(ad.get_replica())

    fit(Toy([1.0]), tmp_path, [Look()], max_epochs=1)
    assert numbers == [0]


@pytest.mark.slow
def test_two_processes_of_lightning_drop_alike_by_default_and_apart_with_the_callback(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "script.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    (one, one_apart, number), (other, other_apart, other_number) = ranks
    assert one == other
    agreement = sum(map(int.__eq__, one_apart, other_apart)) / 2000
    assert abs(agreement - 0.5) < 5 * 0.5 / 2000**0.5
    assert one_apart == one  # the first replica draws as without the callback
    assert number == other_number == 0  # given back
