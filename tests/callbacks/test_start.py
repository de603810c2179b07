"""Where a run of `AdaptiveDropout` starts: at one rate, whatever the model was built with, unless it goes on."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as L
import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.data import Digits
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier
from adaptive_dropout.tracking import read_run

pytestmark = [
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:this run validates .* times"),
]


def new_model(p: float) -> Classifier:
    torch.manual_seed(0)
    return Classifier(MLP(64, 10, (16, 16), dropout=lambda: nn.Dropout(p)), num_classes=10)


def fit(model: Classifier, folder: Path, *callbacks: L.Callback, epochs: int = 3) -> dict[str, float]:
    L.seed_everything(0, verbose=False)
    trainer = L.Trainer(
        max_epochs=epochs, accelerator="cpu", callbacks=list(callbacks), logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(model, Digits(n_train=64, batch_size=32))
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def test_models_built_with_any_rates_run_alike(tmp_path: Path) -> None:
    found = [fit(new_model(p), tmp_path / str(p), AdaptiveDropout(), epochs=20) for p in (0.0, 0.1, 0.5, 0.8)]
    assert all(metrics == found[0] for metrics in found)
    assert read_run(tmp_path / "0.8").rates == {"network.dropout1": 0.2, "network.dropout2": 0.2}


def test_a_start_of_its_own_or_of_the_model(tmp_path: Path) -> None:
    for start, expected in ((0.4, 0.4), ("model", 0.8)):
        control = AdaptiveDropout(start=start)
        fit(new_model(0.8), tmp_path, control, epochs=1)
        assert set(control.start.values()) == {expected}


def test_another_rule_starts_where_the_model_is(tmp_path: Path) -> None:
    control = AdaptiveDropout(ad.PlateauController())
    fit(new_model(0.8), tmp_path, control, epochs=1)
    assert set(control.start.values()) == {0.8}


def test_a_second_fit_goes_on_from_the_rates_that_the_first_found(tmp_path: Path) -> None:
    model = new_model(0.8)
    fit(model, tmp_path / "first", AdaptiveDropout(ad.GapController(change=0.01)))
    found = ad.get_rates(model)
    assert 0.8 not in found.values()
    again = AdaptiveDropout()
    fit(model, tmp_path / "second", again, epochs=1)
    assert again.start == found


@pytest.mark.parametrize("start", [1.5, "low"])
def test_a_start_that_is_none_is_refused(start: float | str) -> None:
    with pytest.raises(ValueError, match=r"^start has to be"):
        AdaptiveDropout(start=start)


def test_a_start_beside_a_rule_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^start=0.3 is for the default rule; PlateauController"):
        AdaptiveDropout(ad.PlateauController(), start=0.3)
