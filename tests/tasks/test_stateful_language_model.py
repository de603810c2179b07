"""`StatefulLanguageModel`: where a batch starts from, in training and in evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.networks import LSTMLanguageModel
from adaptive_dropout.tasks import LanguageModel, StatefulLanguageModel

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")

TEXT = torch.randint(10, (2, 31), generator=torch.Generator().manual_seed(1))


def loader() -> DataLoader[Any]:
    x, y = (TEXT[:, begin : begin + 30].reshape(2, 6, 5).transpose(0, 1).flatten(0, 1) for begin in (0, 1))
    return DataLoader(TensorDataset(x, y), batch_size=2)


def trainer(folder: Path, *callbacks: L.Callback, **settings: Any) -> L.Trainer:
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    return L.Trainer(
        accelerator="cpu", default_root_dir=folder, logger=False, callbacks=list(callbacks), **quiet, **settings
    )


def network() -> LSTMLanguageModel:
    locked = lambda: ad.LockedDropout(0.3, batch_first=True)  # noqa: E731
    return LSTMLanguageModel(10, 6, (8,), dropout=locked, embedding_p=0.1, weight_p=0.4)


def test_a_text_in_windows_is_evaluated_as_the_whole_text(tmp_path: Path) -> None:
    task = StatefulLanguageModel(network())
    for _ in range(2):  # the second starts anew
        (found,) = trainer(tmp_path).validate(task, loader(), verbose=False)
        whole = LanguageModel(task.network).eval()
        expected = whole.loss(whole(TEXT[:, :-1]), TEXT[:, 1:])
        assert found["val_loss"] == pytest.approx(expected.item(), rel=1e-5)
    anew = LanguageModel(task.network)
    assert trainer(tmp_path).validate(anew, loader(), verbose=False)[0]["val_loss"] != pytest.approx(found["val_loss"])


class Watch(L.Callback):
    """Keeps the state from which each training batch starts, and what evaluation has left."""

    def __init__(self) -> None:
        self.before: list[Any] = []

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        _, state = pl_module._states.get(True, (0, None))  # type: ignore[union-attr, operator]
        self.before.append(None if state is None else state[0][0].clone())


def test_training_goes_on_through_validations_and_starts_anew_with_the_epoch(tmp_path: Path) -> None:
    watch = Watch()
    run = trainer(tmp_path, watch, max_epochs=2, val_check_interval=2)
    run.fit(StatefulLanguageModel(network()), loader(), loader())
    assert [state is None for state in watch.before] == [True, *[False] * 5] * 2
    assert not any(torch.equal(a, b) for a, b in zip(watch.before[1:5], watch.before[2:6], strict=True))
    assert not any(state.requires_grad for state in watch.before[1:6])


def test_a_step_that_runs_twice_starts_twice_from_the_same_state() -> None:
    task = StatefulLanguageModel(LSTMLanguageModel(10, 6, dropout=nn.Identity))
    x = TEXT[:, :5]
    assert torch.equal(task(x), task(x))
    task.on_train_batch_end()
    assert not torch.equal(task(x), task.network(x))


@pytest.mark.slow
def test_hypergradients_steer_its_rates_apart_by_kind(tmp_path: Path) -> None:
    task = StatefulLanguageModel(network())
    apart = AdaptiveDropout(ad.RewindController(ad.HypergradientController()))
    run = trainer(tmp_path, apart, max_epochs=4, val_check_interval=1)
    run.fit(task, loader(), loader())
    assert len(set(ad.get_rates(task.network).values())) == 5
    assert list(ad.get_rates(task.network)) == [
        "embedding",
        "input_dropout",
        "layers.0.weight_drop",
        "hidden_dropouts.0",
        "output_dropout",
    ]


def test_a_network_without_a_state_is_refused() -> None:
    with pytest.raises(TypeError, match=r"needs a network with step\(tokens, state\), .* got Linear; LanguageModel"):
        StatefulLanguageModel(nn.Linear(2, 2))
