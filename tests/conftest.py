"""Fixed seeds, and W&B kept offline and inside a temporary folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

# Lightning 2.6 calls what jsonargparse 4.53 has deprecated.
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"
torch.set_num_threads(1)  # the models are too small for more, and pytest-xdist runs several of them at once


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _private_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_ARTIFACT_DIR"):
        folder = tmp_path / "wandb-private"
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv(name, str(folder))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
