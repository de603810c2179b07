"""Exact resume: from a checkpoint of any hook a run goes on as the unbroken one, or says in what it does not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateControl
from adaptive_dropout.callbacks.resume import _draws_anew
from adaptive_dropout.data import Examples, TensorDataModule
from adaptive_dropout.data.resumable import ResumableLoader
from adaptive_dropout.tracking.decisions import Decision

STEPS = 12  # two epochs of 6 batches, with a validation after every third

RULES: dict[str, Callable[[], L.Callback]] = {
    "default": AdaptiveDropout,
    "plateau": lambda: DropoutRateControl(ad.PlateauController(patience=1, change=0.05)),
    "hypergradient": lambda: DropoutRateControl(ad.HypergradientController()),
    "response": lambda: DropoutRateControl(ad.ResponseController()),
}


class Net(L.LightningModule):
    def __init__(self, plain: bool = False) -> None:
        super().__init__()
        make = nn.Dropout if plain else ad.Dropout
        layers = (nn.Linear(6, 16), nn.ReLU(), make(0.3), nn.Linear(16, 16), nn.ReLU(), make(0.3), nn.Linear(16, 1))
        self.net = nn.Sequential(*layers)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = F.mse_loss(self.net(batch[0]), batch[1])
        self.log("of_training", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", F.mse_loss(self.net(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 0.01)


class Noise(TensorDataModule):
    """Noise in memory, in the batches of this library."""

    def examples(self) -> tuple[Examples, Examples, Examples]:
        x = torch.randn(72, 6, generator=torch.Generator().manual_seed(1))
        y = x[:, :1] + x[:, 1:2] ** 2
        return Examples(x[:48], y[:48]), Examples(x[48:], y[48:]), Examples(x[48:], y[48:])


class GlobalNoise(Noise):
    """The same, in a loader of torch, which draws its order from the global generator."""

    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(self.train_set.x, self.train_set.y), self.batch_size, shuffle=True)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


class SaveAtHooks(L.Callback):
    """Writes a checkpoint at three hooks, as a ModelCheckpoint would, which stands last as well."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, trainer: L.Trainer, hook: str) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.fit_loop.total_batch_idx:02d} {hook}.ckpt")

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.save(trainer, "batch")

    def on_validation_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.save(trainer, "validation")

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.save(trainer, "epoch")


class End(NamedTuple):
    """What a run leaves, and what it warned of."""

    weights: list[Tensor]
    decisions: list[Decision]
    generator: Tensor
    rates: dict[str, float]
    said: str


def run(
    folder: Path, rule: str, data: type[Noise] = Noise, resumed: Path | None = None, accumulate: int = 1
) -> tuple[End, SaveAtHooks]:
    torch.manual_seed(0)
    module, control, saves = Net(), RULES[rule](), SaveAtHooks(folder)
    if resumed:
        torch.manual_seed(99)
    trainer = L.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, val_check_interval=3, num_sanity_val_steps=0,
        accumulate_grad_batches=accumulate, callbacks=[control, *([] if resumed else [saves])],
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(module, data(batch_size=8), ckpt_path=resumed, weights_only=True)
    said = " ".join(str(warning.message) for warning in caught)
    decisions = list(control.run.decisions)
    return End(list(module.parameters()), decisions, torch.get_rng_state(), ad.get_rates(module), said), saves


def differences(end: End, unbroken: End) -> set[str]:
    same = {
        "weights": all(map(torch.equal, end.weights, unbroken.weights)),
        "decisions": end.decisions == unbroken.decisions,
        "generator": torch.equal(end.generator, unbroken.generator),
        "rates": end.rates == unbroken.rates,
    }
    return {name for name, is_same in same.items() if not is_same}


def resume_from_each(folder: Path, rule: str, **options: Any) -> dict[str, tuple[set[str], str]]:
    """What differs after a resume from each checkpoint but those of the end, and what the run says of it."""
    unbroken, _ = run(folder, rule, **options)
    assert len(unbroken.decisions) == 4
    found = {}
    for file in sorted(folder.glob("*.ckpt")):
        if not file.name.startswith(f"{STEPS - 1:02d}"):
            end, _ = run(folder / "again", rule, resumed=file, **options)
            found[file.stem] = differences(end, unbroken), end.said
    assert len(found) == STEPS - 1 + 4
    return found


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["default", "plateau"])
def test_a_checkpoint_of_any_hook_resumes_bit_for_bit(tmp_path: Path, rule: str) -> None:
    for place, (differing, said) in resume_from_each(tmp_path, rule).items():
        assert not differing, place
        assert "unbroken" not in said, place


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["response", "hypergradient"])
def test_gradients_resume_bit_for_bit_or_it_is_said_that_no_checkpoint_holds_their_examples(
    tmp_path: Path, rule: str
) -> None:
    exact = 0
    for place, (differing, said) in resume_from_each(tmp_path, rule).items():
        exact += not differing
        assert not differing or "measured on examples of training in place of validation" in said, place
    assert exact >= 3


@pytest.mark.slow
def test_a_loader_that_draws_from_the_global_generator_resumes_between_epochs_and_else_says_that_its_order_is_lost(
    tmp_path: Path,
) -> None:
    for place, (differing, said) in resume_from_each(tmp_path, "default", data=GlobalNoise).items():
        if place in ("05 validation", "05 epoch"):
            assert not differing, place
        told = "the epoch's order of batches begins anew, as the training loader has no state_dict" in said
        assert told == (place[:2] != "05"), place
        assert not differing or "but not as the unbroken one" in said, place


@pytest.mark.slow
def test_gradients_that_were_being_accumulated_are_said_to_be_lost(tmp_path: Path) -> None:
    for place, (differing, said) in resume_from_each(tmp_path, "default", accumulate=2).items():
        half = int(place[:2]) % 2 == 0
        assert ("gradients accumulated since the last optimizer step are lost, so weights will differ" in said) == half
        assert not differing or "but not as the unbroken one" in said, place


@pytest.mark.parametrize("place", ["00 batch", "05 batch", "05 epoch"])
def test_a_run_that_resumes_exactly_says_nothing(tmp_path: Path, place: str) -> None:
    unbroken, _ = run(tmp_path, "default")
    end, _ = run(tmp_path / "again", "default", resumed=tmp_path / f"{place}.ckpt")
    assert not differences(end, unbroken)
    assert "unbroken" not in end.said


@pytest.mark.parametrize("rule", RULES)
def test_a_checkpoint_with_nothing_left_to_train_ends_as_its_run_did(tmp_path: Path, rule: str) -> None:
    unbroken, _ = run(tmp_path, rule)
    end, _ = run(tmp_path / "again", rule, resumed=tmp_path / "11 epoch.ckpt")
    assert not differences(end, unbroken)


class OwnNoise(GlobalNoise):
    """The same, in a loader that draws its order from a generator of its own."""

    def train_dataloader(self) -> Any:
        own = torch.Generator().manual_seed(3)
        examples = TensorDataset(self.train_set.x, self.train_set.y)
        return DataLoader(examples, self.batch_size, shuffle=True, generator=own)


def test_a_loader_with_a_generator_of_its_own_is_said_to_begin_as_in_a_new_run(tmp_path: Path) -> None:
    run(tmp_path, "plateau", OwnNoise)
    end, _ = run(tmp_path / "again", "plateau", OwnNoise, resumed=tmp_path / "05 epoch.ckpt")
    assert "as no checkpoint holds the training loader's own generator" in end.said


def test_checkpoints_of_plain_models_load_into_adaptive_ones_and_back(tmp_path: Path) -> None:
    def fit(module: Net, callbacks: list[L.Callback], file: Path | None) -> L.Trainer:
        trainer = L.Trainer(
            max_steps=3 if file is None else 6, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, callbacks=callbacks, num_sanity_val_steps=0,
            default_root_dir=tmp_path,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.fit(module, Noise(batch_size=8), ckpt_path=file, weights_only=True)
        return trainer

    fit(Net(plain=True), [], None).save_checkpoint(tmp_path / "plain.ckpt")
    fit(Net(), [AdaptiveDropout()], None).save_checkpoint(tmp_path / "adaptive.ckpt")
    assert fit(Net(), [AdaptiveDropout()], tmp_path / "plain.ckpt").global_step == 6
    assert fit(Net(plain=True), [], tmp_path / "adaptive.ckpt").global_step == 6


def test_a_loader_may_draw_anew_where_no_state_of_its_generators_is_kept() -> None:
    data, own = TensorDataset(torch.ones(4)), torch.Generator()
    assert _draws_anew(DataLoader(data))
    assert _draws_anew(DataLoader(data, generator=own, num_workers=1))
    assert not _draws_anew(DataLoader(data, generator=own))
    assert not _draws_anew(ResumableLoader(data, generator=own, num_workers=1))
