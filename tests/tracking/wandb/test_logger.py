from __future__ import annotations

from pathlib import Path

import pytest

from adaptive_dropout.tracking import WandbLogger
from adaptive_dropout.tracking.wandb import logger as wandb_logger


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE", raising=False)


def logged_in(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    monkeypatch.setattr("wandb.login", lambda **_: answer)


def mode_of(logger: WandbLogger) -> str:
    return str(logger._wandb_init["mode"])


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
    assert mode_of(WandbLogger(save_dir=str(tmp_path / "runs"))) == expected


def test_nobody_is_logged_in_on_a_clean_machine(tmp_path: Path) -> None:
    assert mode_of(WandbLogger(save_dir=str(tmp_path))) == "offline"


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
