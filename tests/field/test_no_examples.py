"""No example of the data is in any file that a run writes: checkpoints, snapshots, decisions, logs."""

from __future__ import annotations

import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from adaptive_dropout import HypergradientController, ResponseController, RewindController
from adaptive_dropout.callbacks import AdaptiveDropout
from tests.field.parts import BATCH, CLASSES, FEATURES, Plain, mlp, points

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
    pytest.mark.filterwarnings("ignore:.*pin_memory.*"),
    pytest.mark.filterwarnings("ignore:the run goes on from step .*, but not as the unbroken one"),  # for that reason
    pytest.mark.filterwarnings("ignore:.*`.fit.ckpt_path=None.` was called without a model.*"),  # on an exception
    pytest.mark.filterwarnings("ignore:.*but there is no last checkpoint available"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]

MARK = [random.Random(64).random() for _ in range(16)]  # 64 bytes as float32, in front of every example
NEEDLES = {
    "float32": torch.tensor(MARK).numpy().tobytes(),
    "float64": torch.tensor(MARK).double().numpy().tobytes(),
    "bfloat16": torch.tensor(MARK).bfloat16().view(torch.int16).numpy().tobytes(),
    "pickled": struct.pack(">d", torch.tensor(MARK)[0].item()),
    "written": repr(torch.tensor(MARK)[0].item())[:10].encode(),
}
WIDTH = len(MARK) + FEATURES


def marked(n: int, seed: int) -> TensorDataset:
    x, y = points(n, seed).tensors
    return TensorDataset(torch.cat([torch.tensor(MARK).expand(n, -1), x], 1), y)


class OwnData(Dataset[Any]):
    """The same, not known to lie in memory, so that batches are kept from the run itself."""

    def __init__(self, data: TensorDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Any:
        return self.data[index]


class Learns(Plain):
    def __init__(self) -> None:
        super().__init__(mlp(features=WIDTH, p=0.1))

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), 0.02)


def found_in(folder: Path) -> list[str]:
    """Return which files below ``folder`` hold the mark, in which form; compressed ones would hide it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        if zipfile.is_zipfile(path):
            assert all(entry.compress_type == zipfile.ZIP_STORED for entry in zipfile.ZipFile(path).infolist())
    return [f"{path.name}: {kind}" for path in files for kind, n in NEEDLES.items() if n in path.read_bytes()]


def test_an_example_that_is_saved_would_be_found(tmp_path: Path) -> None:
    x, _ = marked(8, 1).tensors
    for number, kept in enumerate((x, {"a": [x.double()]}, x.bfloat16(), x[0].tolist(), repr(x[0].tolist()))):
        folder = tmp_path / str(number)
        folder.mkdir()
        torch.save(kept, folder / "saved.pt")
        assert len(found_in(folder)) == 1


CONTROLLERS = {
    "default": None,
    "hypergradient": RewindController(HypergradientController()),
    "response": RewindController(ResponseController()),
}


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(
    "name", ["default", *(pytest.param(name, marks=pytest.mark.slow) for name in ("hypergradient", "response"))]
)
def test_no_file_of_a_lightning_run_holds_an_example(tmp_path: Path, name: str, in_memory: bool) -> None:
    train, val = marked(32, 1), marked(16, 2)
    loaders = [DataLoader(d if in_memory else OwnData(d), BATCH, shuffle=d is train) for d in (train, val)]

    def fit(epochs: int, **how: Any) -> AdaptiveDropout:
        own = AdaptiveDropout(CONTROLLERS[name], folder=tmp_path / f"snapshots{epochs}")
        keeps = ModelCheckpoint(tmp_path / "saved", every_n_train_steps=3, save_top_k=-1, save_last=True)
        trainer = L.Trainer(
            max_epochs=epochs, accelerator="cpu", callbacks=[own, keeps], logger=CSVLogger(tmp_path / "logs"),
            default_root_dir=tmp_path, enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1,
        )  # fmt: skip
        trainer.fit(Learns(), *loaders, **how)
        trainer.save_checkpoint(tmp_path / f"end{epochs}.ckpt")
        return own

    own = fit(6)
    assert own.run is not None
    assert len(own.run.decisions) == 6
    fit(8, ckpt_path=tmp_path / "end6.ckpt")
    names = {path.name for path in tmp_path.rglob("*")}
    assert {"decisions.jsonl", "end6.ckpt", "end8.ckpt", "last.ckpt"} <= names
    assert any((tmp_path / "snapshots6").iterdir())
    assert found_in(tmp_path) == []


class Failing(Learns):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.global_step == 10:
            raise RuntimeError("lost")
        return super().training_step(batch, batch_idx)


def test_no_checkpoint_of_a_run_that_fails_holds_an_example(tmp_path: Path) -> None:
    from lightning.pytorch.callbacks import OnExceptionCheckpoint

    loaders = [DataLoader(OwnData(marked(n, n)), BATCH) for n in (32, 16)]
    trainer = L.Trainer(
        max_epochs=12, accelerator="cpu", callbacks=[AdaptiveDropout(), OnExceptionCheckpoint(tmp_path)], logger=False,
        default_root_dir=tmp_path, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="lost"):
        trainer.fit(Failing(), *loaders)
    assert list(tmp_path.glob("on_exception*"))
    assert found_in(tmp_path) == []


class ForTrainer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(WIDTH, 12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, CLASSES))

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.net(x)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def test_no_file_of_a_transformers_run_holds_an_example(tmp_path: Path) -> None:
    hf = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from adaptive_dropout.callbacks.transformers import AdaptiveDropoutCallback

    train, val = ([{"x": x, "labels": y} for x, y in marked(n, n)] for n in (32, 16))
    arguments = hf.TrainingArguments(
        output_dir=str(tmp_path), max_steps=24, eval_strategy="steps", eval_steps=2, save_strategy="steps",
        save_steps=6, logging_steps=2, per_device_train_batch_size=BATCH, learning_rate=0.02, report_to=[],
        use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    trainer = hf.Trainer(ForTrainer(), arguments, train_dataset=train, eval_dataset=val)
    callback = AdaptiveDropoutCallback(trainer, folder=tmp_path / "snapshots")
    trainer.add_callback(callback)
    trainer.train()
    assert any("clean_loss" in row or "dropout_control/clean_loss" in row for row in trainer.state.log_history)
    assert len(list(tmp_path.glob("checkpoint-*"))) >= 2
    assert found_in(tmp_path) == []
