"""The callbacks under Lightning's other name, `pytorch_lightning`: its Trainer, its modules, its command line."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning_utilities.core import rank_zero
from torch import Tensor, nn
from torch.utils.data import DataLoader

import adaptive_dropout as ad
from adaptive_dropout import callbacks
from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateControl, DropoutRateMonitor, MCDropoutPredictor
from adaptive_dropout.callbacks.trainer import averages
from adaptive_dropout.tracking import read_run
from tests.callbacks.toy import Memory

pl = pytest.importorskip("pytorch_lightning")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*does not have many workers.*")]

PLATEAU = ad.PlateauController(patience=1)


class Plain(pl.LightningModule):
    """One weight; the validation loss gets worse, so that a rule moves."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.3), nn.Linear(4, 1))
        self.validations = 0

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.net(batch).square().mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val_loss", self.net(batch).square().mean() + self.trainer.global_step)

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.net(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(torch.linspace(0.5, 2.0, 4).unsqueeze(1), batch_size=2, generator=torch.Generator())

    val_dataloader = predict_dataloader = train_dataloader


def trainer(folder: Path, *given: Any, **settings: Any) -> Any:
    quiet: dict[str, Any] = {
        "max_epochs": 4, "accelerator": "cpu", "default_root_dir": folder, "logger": False, "log_every_n_steps": 1,
        "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False,
    }  # fmt: skip
    return pl.Trainer(callbacks=list(given), **quiet | settings)


@pytest.mark.parametrize("make", [lambda: DropoutRateControl(PLATEAU), lambda: AdaptiveDropout(PLATEAU)])
def test_its_trainer_steers_and_writes_down(make: Any, tmp_path: Path) -> None:
    callback, memory, model = make(), Memory(), Plain()
    if not isinstance(callback, AdaptiveDropout):
        ad.convert(model)
    trainer(tmp_path, callback, DropoutRateMonitor(), logger=memory).fit(model)
    run = read_run(tmp_path / "memory" / "0")
    assert len(run.decisions) == 4
    assert ad.get_rates(model) == run.final_rates() != run.rates == {"net.1": 0.3}
    assert [p for step, p in memory.series("dropout/net_1")][-1] == ad.get_rates(model)["net.1"]


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
@pytest.mark.filterwarnings("ignore:the run goes on .* the clean loss may go on with other examples")
@pytest.mark.parametrize("controller", [PLATEAU, ad.RewindController()])
def test_a_resumed_run_goes_on_as_the_unbroken_one(controller: ad.Controller, tmp_path: Path) -> None:
    whole, rest = AdaptiveDropout(controller), AdaptiveDropout(controller)
    keep = pl.callbacks.ModelCheckpoint(tmp_path / "kept", "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    torch.manual_seed(0)
    first, second = Plain(), Plain()
    trainer(tmp_path / "whole", whole, keep, max_epochs=24, enable_checkpointing=True).fit(first)
    trainer(tmp_path / "rest", rest, max_epochs=24).fit(second, ckpt_path=tmp_path / "kept" / "epoch=7.ckpt")
    assert rest.state == whole.state
    assert whole.run is not None
    assert whole.run.rates != whole.run.final_rates()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_its_command_line_takes_every_callback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytorch_lightning.cli import LightningCLI

    config = tmp_path / "config.yaml"
    config.write_text(
        f"""
trainer:
  max_epochs: 2
  accelerator: cpu
  logger: false
  enable_checkpointing: false
  default_root_dir: {tmp_path}
  callbacks:
    - class_path: adaptive_dropout.callbacks.AdaptiveDropout
      init_args:
        controller: {{class_path: adaptive_dropout.PlateauController, init_args: {{patience: 2}}}}
    - class_path: adaptive_dropout.callbacks.DropoutRateMonitor
    - class_path: adaptive_dropout.callbacks.DropoutProgressBar
    - class_path: adaptive_dropout.callbacks.MCDropoutPredictor
"""
    )
    monkeypatch.setattr(sys, "argv", ["fit", "fit", "--config", str(config), "--seed_everything", "0"])
    cli = LightningCLI(Plain, save_config_callback=None)
    adaptive = next(callback for callback in cli.trainer.callbacks if isinstance(callback, AdaptiveDropout))
    assert adaptive.controller == ad.PlateauController(patience=2)
    assert adaptive.state is not None
    assert isinstance(cli.trainer.progress_bar_callback, callbacks.DropoutProgressBar)


@pytest.mark.parametrize("name", callbacks.__all__)
def test_every_callback_is_one_of_both_names(name: str) -> None:
    assert issubclass(getattr(callbacks, name), L.Callback)
    assert issubclass(getattr(callbacks, name), pl.Callback)


def test_its_predictions_have_uncertainties(tmp_path: Path) -> None:
    predicted = trainer(tmp_path, MCDropoutPredictor(samples=4, network="net")).predict(Plain())
    assert predicted[0]["std"].shape == (2, 1)


def test_its_averages_its_sharding_and_its_early_stopping_are_recognised(tmp_path: Path) -> None:
    control, model = AdaptiveDropout(PLATEAU), Plain()
    average = pl.callbacks.WeightAveraging()
    run = trainer(tmp_path, control, average)
    run.fit(model)
    assert averages(run) == [average._average_model]
    swa = pl.callbacks.StochasticWeightAveraging(swa_lrs=0.01)
    with pytest.raises(ValueError, match="StochasticWeightAveraging averages weights that AdaptiveDropout rewinds"):
        trainer(tmp_path, AdaptiveDropout(), swa).fit(Plain())
    with pytest.warns(UserWarning, match=r"EarlyStopping\(patience=2\) stops before a stall"):
        trainer(tmp_path, AdaptiveDropout(), pl.callbacks.EarlyStopping("val_loss", patience=2), max_epochs=24).fit(
            Plain()
        )


def test_without_the_package_there_is_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("pytorch_lightning", "adaptive_dropout.callbacks"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    monkeypatch.setattr(ad, "callbacks", callbacks)  # what is imported below takes its place
    alone = importlib.import_module("adaptive_dropout.callbacks")
    both = importlib.import_module("adaptive_dropout.callbacks.packages").both
    assert both(L.Callback) == (L.Callback,)
    for callback in (alone.AdaptiveDropout(), alone.DropoutProgressBar()):
        assert isinstance(callback, L.Callback)
        assert not isinstance(callback, pl.Callback)


def test_lightning_goes_on_speaking_through_its_own_logger() -> None:
    assert rank_zero.log.name.startswith("lightning.pytorch")  # it would be that of the name imported last
