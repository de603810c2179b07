"""Rewinds beside averages of the weights: what is measured is what is kept, comes back, and is left at the end."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging, WeightAveraging
from torch import nn
from torch.utils.data import DataLoader

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateControl
from adaptive_dropout.callbacks.isolated.validation import IsolatedValidation, losses_of_batches
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from tests.callbacks.scripted import FewDigits, Measuring, Script, Turn, adaptive_run, fit, task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
    pytest.mark.filterwarnings("ignore:You're using the WeightAveraging callback with a model that overrides"),
]


class Averages(L.Callback):
    """Keeps the average of the first weights and how many it is of, where each epoch begins."""

    def __init__(self, averaging: WeightAveraging) -> None:
        self.averaging, self.weights, self.counts = averaging, [], []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        average = self.averaging._average_model
        self.weights.append(next(average.parameters()).detach().clone())
        self.counts.append(int(average.n_averaged))


def test_an_average_comes_back_with_the_weights_and_goes_on(tmp_path: Path) -> None:
    averaging = WeightAveraging()
    seen = Averages(averaging)
    fit(task(), tmp_path, [DropoutRateControl(Script("i..r..")), averaging, seen], max_epochs=6)
    assert seen.counts == [0, 4, 8, 12, 4, 8]
    assert torch.equal(seen.weights[4], seen.weights[1])
    assert not torch.equal(seen.weights[5], seen.weights[1])


@pytest.mark.slow
def test_the_best_weights_at_the_end_are_the_average_that_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adaptive, model = adaptive_run(tmp_path, EMAWeightAveraging(decay=0.8), max_epochs=40)
    state: Any = adaptive.state
    assert state.rewinds >= 1
    assert state.step - state.age > 40, "the last weights are the best, so nothing is tested"
    (measured,) = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False).validate(
        model, FewDigits(), verbose=False
    )
    assert measured["val_loss"] == pytest.approx(state.best, rel=1e-6)
    layers = model.network.dropout1, model.network.dropout2
    assert [layer.rate.value.item() for layer in layers] == pytest.approx(list(state.rates.values()))


def test_the_clean_loss_is_of_the_average_that_validation_measures(tmp_path: Path) -> None:
    control = DropoutRateControl(Measuring("....."))
    never = EMAWeightAveraging(update_starting_at_step=10**6)  # the average stays what the weights were at first
    fit(task(), tmp_path, [control, never])
    assert isinstance(control.state, Turn)
    losses = [seen["clean_loss"] for seen in control.state.seen]
    assert losses == [losses[0]] * 5


class Share(L.LightningModule):
    """Logs which share dropout leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.drop = nn.Parameter(torch.zeros(())), ad.Dropout(0.5)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.weight**2

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", (self.drop(torch.ones(4096)) == 0).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class MeasuresNoise(L.Callback):
    """Measures with dropout on while the tensor of the rate holds an average."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        with torch.no_grad():
            pl_module.drop.rate.value.fill_(0.1)
        copies = partial(IsolatedValidation, trainer, pl_module)
        (self.share,) = losses_of_batches(copies, [torch.ones(1)], "val_loss", noise=True)


def test_noise_is_measured_at_the_rates_not_at_their_average(tmp_path: Path) -> None:
    measures, loader = MeasuresNoise(), DataLoader(torch.ones(2, 1))
    L.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, num_sanity_val_steps=0, callbacks=[measures],
    ).fit(Share(), loader, loader)  # fmt: skip
    assert measures.share == pytest.approx(0.5, abs=4 * (0.25 / 4096) ** 0.5)


class Built(Classifier):
    """Builds its layers in ``configure_model``, with batch normalisation behind a dropout layer."""

    def __init__(self) -> None:
        super().__init__(MLP(64, 10, (8,)), 10)
        self.network = None  # type: ignore[assignment]

    def configure_model(self) -> None:
        if self.network is None:
            self.network = nn.Sequential(
                nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 10)
            )


def test_layers_built_in_configure_model_are_found_in_the_average_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    averaging = WeightAveraging(avg_fn=lambda average, weight, number: weight)
    adaptive, model = AdaptiveDropout(ad.FixedController()), Built()
    fit(model, tmp_path, [adaptive, averaging])
    assert list(adaptive.state.rates) == ["network.2"]  # type: ignore[union-attr]
    counted = [module[3].num_batches_tracked for module in (model.network, averaging._average_model.module.network)]
    assert [int(count) for count in counted] == [20, 20], "buffers were paired with others"


def test_what_averages_has_to_stand_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"WeightAveraging averages the weights .*; put it behind AdaptiveDropout"):
        fit(task(), tmp_path, [WeightAveraging(), AdaptiveDropout()])


def test_an_average_that_is_never_measured_is_refused(tmp_path: Path) -> None:
    averaging = StochasticWeightAveraging(0.01)
    with pytest.raises(ValueError, match=r"StochasticWeightAveraging .* use EMAWeightAveraging or WeightAveraging"):
        fit(task(), tmp_path, [AdaptiveDropout(), averaging])
    fit(task(), tmp_path, [DropoutRateControl(ad.FixedController()), averaging])  # without rewinds it may be there
