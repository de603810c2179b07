"""`LanguageModel`: nats per token, accuracy per token, and a network that learns what needs more than one character."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import lightning.pytorch as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.data import Text
from adaptive_dropout.networks import GPT
from adaptive_dropout.tasks import LanguageModel

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


def trainer(folder: Path, **settings: object) -> L.Trainer:
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    return L.Trainer(accelerator="cpu", default_root_dir=folder, logger=False, **quiet, **settings)  # type: ignore[arg-type]


def test_loss_is_the_mean_surprise_per_token_in_nats() -> None:
    logits, y = torch.randn(3, 5, 7), torch.randint(7, (3, 5))
    p = logits.exp() / logits.exp().sum(-1, keepdim=True)
    surprises = [-math.log(p[b, t, y[b, t]]) for b in range(3) for t in range(5)]
    assert LanguageModel(nn.Identity()).loss(logits, y).item() == pytest.approx(sum(surprises) / 15, rel=1e-5)


def test_metrics_are_those_of_all_tokens_of_the_set(tmp_path: Path) -> None:
    logits, y = torch.randn(10, 5, 7), torch.randint(7, (10, 5))
    task = LanguageModel(nn.Identity())
    (metrics,) = trainer(tmp_path).validate(task, DataLoader(TensorDataset(logits, y), batch_size=4), verbose=False)
    assert set(metrics) == {"val_loss", "val_accuracy"}
    assert metrics["val_loss"] == pytest.approx(task.loss(logits, y).item(), rel=1e-5)
    assert metrics["val_accuracy"] == pytest.approx((logits.argmax(-1) == y).float().mean().item())


def test_prediction_is_the_most_probable_token() -> None:
    logits = torch.tensor([[[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]]])
    assert LanguageModel(nn.Identity()).predict_step(logits, 0).tolist() == [[1, 0]]


@pytest.mark.parametrize("shape", [(4, 7), (4, 6, 7), (4, 5, 7, 1)])
def test_logits_of_the_wrong_shape_are_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^LanguageModel takes logits .*, but got \(4, .*\) and \(4, 5\)$"):
        LanguageModel(nn.Identity()).loss(torch.ones(shape), torch.ones(4, 5, dtype=torch.int64))


@pytest.mark.slow
def test_a_gpt_learns_what_one_character_cannot_tell_and_its_rates_can_be_driven(tmp_path: Path) -> None:
    (tmp_path / "abac.txt").write_text("abac" * 400)
    data = Text(tmp_path / "abac.txt", context=9, batch_size=16, steps_per_epoch=60)
    schedule = ad.LinearSchedule(0.2, 0.0)
    network = GPT(data.vocabulary, 9, layers=1, heads=2, channels=16, dropout=lambda: ad.Dropout(schedule))
    run = trainer(tmp_path, max_epochs=3)
    run.fit(LanguageModel(network, functools.partial(torch.optim.Adam, lr=0.01)), data)
    assert ad.get_rates(network) == dict.fromkeys(ad.get_rates(network), pytest.approx(0.2 / 180))
    (metrics,) = run.test(run.model, data, verbose=False)
    # After an "a" come "b" and "c" equally often: whoever sees one character is right 3 times in 4, and loses
    # ln(2) / 2 = 0.35 nats. Whoever sees all has to guess only at the first of 9 places: 0.97 right, 0.04 nats.
    assert metrics["test_accuracy"] > 0.9
    assert metrics["test_loss"] < 0.15
