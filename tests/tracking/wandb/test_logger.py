"""The mode of the W&B logger, and the checkpoints that it uploads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from adaptive_dropout.tracking import WandbLogger
from adaptive_dropout.tracking.packed import PackedDecisions
from adaptive_dropout.tracking.wandb import logger as wandb_logger


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE", raising=False)


def logged_in(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    monkeypatch.setattr("wandb.login", lambda **_: answer)


@pytest.mark.parametrize(
    ("wandb_mode", "account", "expected"),
    [
        (None, False, "offline"),
        (None, True, "online"),
        ("offline", True, "offline"),
        ("disabled", False, "disabled"),
        ("online", True, "online"),
    ],
)
def test_it_is_offline_unless_logged_in_or_told(
    wandb_mode: str | None, account: bool, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if wandb_mode is not None:
        monkeypatch.setenv("WANDB_MODE", wandb_mode)
    logged_in(monkeypatch, account)
    assert WandbLogger(save_dir=str(tmp_path / "runs")).mode == expected


def test_nobody_is_logged_in_on_a_clean_machine(tmp_path: Path) -> None:
    assert WandbLogger(save_dir=str(tmp_path)).mode == "offline"


def test_online_without_an_account_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(ValueError, match="'online', but nobody is logged in; run `wandb login`, or set WANDB_MODE"):
        WandbLogger(save_dir=str(tmp_path))


def test_an_unknown_mode_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "onlin")
    with pytest.raises(ValueError, match="WANDB_MODE is 'onlin'; it has to be one of online, offline"):
        WandbLogger(save_dir=str(tmp_path))


def test_a_missing_wandb_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_logger, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="wandb is not installed; run `pip install wandb`"):
        WandbLogger()


class Experiment:
    """A run of W&B that remembers its artifacts."""

    id = "1"

    def __init__(self) -> None:
        self.artifacts: list[tuple[Any, list[str]]] = []

    def log_artifact(self, artifact: Any, aliases: list[str]) -> None:
        self.artifacts.append((artifact, aliases))


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self._marker,))


def saving(path: Path, **content: Any) -> ModelCheckpoint:
    """A callback that has just saved ``content`` as its best checkpoint, with the score 0.5."""
    torch.save(content, path)
    saved = ModelCheckpoint(monitor="val_loss")
    saved.best_model_path, saved.best_model_score = str(path), torch.tensor(0.5)
    return saved


def decided(step: int, packed: bool = True) -> dict[str, Any]:
    decision = {"step": 5, "signals": {}, "before": {"a": 0.1}, "after": {"a": 0.2}}
    run: dict[str, Any] = {"rates": {"a": 0.3}, "decisions": [decision]}
    if packed:
        run["decisions"] = PackedDecisions.from_list(run["rates"], run["decisions"]).to_list()
    return {"callbacks": {"Control": {"loop": {"run": run}}, "Other": {"decisions": 3}}, "global_step": step}


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "of an earlier version"])
@pytest.mark.parametrize(("step", "rates"), [(5, {"a": 0.1}), (8, {"a": 0.2})])
def test_the_artifact_of_the_best_checkpoint_has_its_score_and_the_rates_it_was_trained_with(
    step: int, rates: dict[str, float], packed: bool, tmp_path: Path
) -> None:
    logger = WandbLogger(save_dir=str(tmp_path), log_model=True, experiment=Experiment())
    logger.after_save_checkpoint(saving(tmp_path / "best.ckpt", **decided(step, packed)))
    assert logger.experiment.artifacts == []
    logger.finalize("success")
    ((artifact, aliases),) = logger.experiment.artifacts
    assert (artifact.name, artifact.type, aliases) == ("model-1", "model", ["latest", "best"])
    assert artifact.metadata == {"original_filename": "best.ckpt", "val_loss": 0.5, "dropout_rates": rates}
    assert list(artifact.manifest.entries) == ["model.ckpt"]


@pytest.mark.parametrize(("log_model", "status"), [(False, "success"), (True, "failed")])
def test_nothing_is_uploaded_unasked_or_after_a_run_that_failed(log_model: bool, status: str, tmp_path: Path) -> None:
    logger = WandbLogger(save_dir=str(tmp_path), log_model=log_model, experiment=Experiment())
    logger.after_save_checkpoint(saving(tmp_path / "best.ckpt", **decided(5)))
    logger.finalize(status)
    assert logger.experiment.artifacts == []


def test_every_checkpoint_is_uploaded_once_when_it_is_saved(tmp_path: Path) -> None:
    logger = WandbLogger(save_dir=str(tmp_path), log_model="all", checkpoint_name="mine", experiment=Experiment())
    saved = saving(tmp_path / "first.ckpt", **decided(5))
    logger.after_save_checkpoint(saved)
    logger.after_save_checkpoint(saved)
    saved.best_k_models = {saved.best_model_path: torch.tensor(0.5)}
    torch.save(decided(8), tmp_path / "last.ckpt")
    saved.last_model_path, saved.current_score = str(tmp_path / "last.ckpt"), torch.tensor(0.7)
    logger.after_save_checkpoint(saved)
    os.utime(tmp_path / "last.ckpt", (1e10, 1e10))  # saved again under the same name
    logger.after_save_checkpoint(saved)
    logger.finalize("success")
    said = [(a.name, a.metadata["original_filename"], a.metadata["val_loss"]) for a, _ in logger.experiment.artifacts]
    assert said == [("mine", "first.ckpt", 0.5), *[("mine", "last.ckpt", pytest.approx(0.7))] * 2]
    assert [aliases for _, aliases in logger.experiment.artifacts] == [["latest", "best"], ["latest"], ["latest"]]


def test_a_foreign_checkpoint_cannot_execute_code(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    logger = WandbLogger(save_dir=str(tmp_path), log_model=True, experiment=Experiment())
    path = tmp_path / "best.ckpt"
    logger.after_save_checkpoint(saving(path, callbacks=Malicious(marker), global_step=5))
    warning = f"^{path} holds more than tensors and plain values, or .* without the rates$"
    with pytest.warns(UserWarning, match=warning) as said:
        logger.finalize("success")
    assert [str(told.message).count("\n") for told in said] == [0]
    assert not marker.exists()
    ((artifact, _),) = logger.experiment.artifacts
    assert artifact.metadata["dropout_rates"] == {}
    torch.load(path, weights_only=False)
    assert marker.exists()  # as it would have


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04"])
def test_a_file_that_is_not_a_checkpoint_is_a_warning(content: bytes, tmp_path: Path) -> None:
    logger = WandbLogger(save_dir=str(tmp_path), log_model=True, experiment=Experiment())
    saved = saving(tmp_path / "best.ckpt")
    (tmp_path / "best.ckpt").write_bytes(content)
    logger.after_save_checkpoint(saved)
    with pytest.warns(UserWarning, match=r"is not a checkpoint \(\w+\): its artifact is uploaded without the rates"):
        logger.finalize("success")


class Gone(Experiment):
    """A run of W&B whose process is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def log(self, *arguments: Any, **named: Any) -> None:
        self.asked += 1
        raise ConnectionResetError("Connection lost")

    log_artifact = define_metric = update = finish = log

    @property
    def config(self) -> Gone:
        return self


def test_a_process_that_is_gone_is_one_warning_and_not_asked_again(tmp_path: Path) -> None:
    logger = WandbLogger(save_dir=str(tmp_path), log_model=True, experiment=Gone())
    with pytest.warns(UserWarning, match=r"WandbLogger takes no more .* \(ConnectionResetError: Connection lost\)"):
        logger.log_metrics({"val_loss": 0.5}, 3)
    logger.log_metrics({"val_loss": 0.4}, 4)
    logger.after_save_checkpoint(saving(tmp_path / "best.ckpt", **decided(5)))
    logger.finalize("success")
    assert logger.experiment.asked == 1


def test_a_process_that_is_gone_when_checkpoints_are_uploaded_is_one_warning(tmp_path: Path) -> None:
    logger = WandbLogger(save_dir=str(tmp_path), log_model="all", experiment=Gone())
    with pytest.warns(UserWarning, match=r"takes no more .* \(ConnectionResetError: Connection lost\)"):
        logger.after_save_checkpoint(saving(tmp_path / "best.ckpt", **decided(5)))
    logger.finalize("success")
    assert logger.experiment.asked == 1


@pytest.mark.parametrize("call", [lambda logger: logger.log_hyperparams({"width": 3}), WandbLogger.finish])
def test_a_process_that_is_gone_before_and_after_training_is_one_warning(
    call: Callable[[WandbLogger], None], tmp_path: Path
) -> None:
    logger = WandbLogger(save_dir=str(tmp_path), experiment=Gone())
    with pytest.warns(UserWarning, match=r"takes no more .* \(ConnectionResetError: Connection lost\)"):
        call(logger)
    call(logger)
    assert logger.experiment.asked == 1
