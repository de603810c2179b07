"""Rewinds of models that are compiled, partly frozen, grown, sharded, or too large for memory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy
from torch import nn

from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateControl
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import Measuring, Script, Watch, fit, task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
]


class Compiled(Classifier):
    """Compiled where Lightning builds models; counts its graphs."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        super().__init__(MLP(64, 10, (32,), lambda: nn.Dropout(0.3)), 10)
        self.graphs = 0

    def configure_model(self) -> None:
        torch._dynamo.reset()
        self.network = torch.compile(self.network, backend=self.count)  # type: ignore[assignment]

    def count(self, graph: Any, inputs: Any) -> Any:
        self.graphs += 1
        return graph


@pytest.mark.slow
def test_a_compiled_model_is_steered_and_rewound_and_never_compiled_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graphs = []
    for moves in ("i..r.", "....."):
        watch, model, adaptive = Watch(), Compiled(), AdaptiveDropout(Measuring(moves))
        fit(model, tmp_path, [adaptive, watch])
        graphs.append(model.graphs)
        assert list(adaptive.state.rates) == ["network._orig_mod.dropout1"]  # type: ignore[union-attr]
        assert torch.equal(watch.weights[3], watch.weights[0]) == (moves == "i..r.")
    assert graphs[0] == graphs[1] > 0


class Thaws(L.Callback):
    """Adds the frozen last layer to the optimizer, as fine-tuning does."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 2:
            last = list(pl_module.network.parameters())[-2:]
            trainer.optimizers[0].add_param_group({"params": [weight.requires_grad_() for weight in last]})


class Frozen(Classifier):
    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(list(self.parameters())[:-2])


def test_layers_thawed_since_the_best_weights_are_rewound_too(tmp_path: Path) -> None:
    model, watch = Frozen(task().network, 10), Watch()
    last = list(model.network.parameters())[-1].requires_grad_(False)
    start = last.detach().clone()
    fit(model, tmp_path, [DropoutRateControl(Script("i..r")), Thaws(), watch], max_epochs=4)
    assert torch.equal(watch.weights[3], watch.weights[0])
    assert torch.equal(last, start)


@pytest.mark.parametrize("strategy", [FSDPStrategy, DeepSpeedStrategy])
def test_a_sharded_model_is_refused_at_set_up(strategy: type) -> None:
    trainer: Any = SimpleNamespace(strategy=strategy.__new__(strategy), callbacks=[])
    with pytest.raises(ValueError, match=f"AdaptiveDropout cannot rewind a model sharded by {strategy.__name__}; use"):
        AdaptiveDropout().setup(trainer, task(), "fit")


def test_snapshots_in_a_folder_are_what_they_are_in_memory(tmp_path: Path) -> None:
    models = []
    for folder in (None, tmp_path / "snapshots"):
        models.append(task())
        fit(models[-1], tmp_path, [DropoutRateControl(Script("i..r."), folder=folder)])
    assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in models), strict=True))
    files = sorted(str(file.relative_to(tmp_path)) for file in (tmp_path / "snapshots").rglob("*.*"))
    assert files == ["snapshots/best/snapshot.pt", "snapshots/initial/snapshot.pt"]


def test_a_checkpoint_saved_after_the_run_holds_what_lies_in_the_folder(tmp_path: Path) -> None:
    folder, whole, resumed = tmp_path / "snapshots", task(), task()
    fit(whole, tmp_path, [DropoutRateControl(Script("i....r"))], max_epochs=6)
    run = fit(task(), tmp_path, [DropoutRateControl(Script("i....r"), folder=folder)], max_epochs=4)
    run.save_checkpoint(tmp_path / "after.ckpt")
    again = DropoutRateControl(Script("i....r"), folder=tmp_path / "others")
    fit(resumed, tmp_path, [again], max_epochs=6, ckpt_path=tmp_path / "after.ckpt")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_a_folder_that_cannot_be_made_is_told_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    watch = Watch()
    with pytest.raises(OSError, match=r"no folder can be made at '.*/file/here': '.*/file' is a file; name a folder"):
        fit(task(), tmp_path, [AdaptiveDropout(folder=tmp_path / "file" / "here"), watch])
    assert not watch.batches


def test_a_disk_without_room_is_told_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=25_000))
    watch, model = Watch(), task()  # 2410 weights in float32, three times
    with pytest.raises(
        OSError, match=r"snapshots need 0.0289 MB and the optimizer's state, but '.*' has 0.025 MB left"
    ):
        fit(model, tmp_path, [AdaptiveDropout(folder=tmp_path / "snapshots"), watch])
    assert not watch.batches
