"""Fixed seeds, training on the CPU, W&B kept offline and inside a temporary folder, and Ray out of the home folder."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# Lightning 2.6 calls what jsonargparse 4.53 has deprecated.
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"
# Where a test leaves it open: with two GPUs Lightning would start pytest itself once more, for the second one.
os.environ["PL_TRAINER_ACCELERATOR"] = "cpu"
torch.set_num_threads(1)  # the models are too small for more, and pytest-xdist runs several of them at once

# Whole runs in processes of their own: of one module, each of pytest-xdist's workers that gets a test makes them anew.
FIRST = Path(__file__).parent / "tracking"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # pytest-xdist deals out hundreds in a row at first, and at the end two at a time, to whoever has nothing to do.
    items.sort(key=lambda item: FIRST not in item.path.parents)


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def short_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise with two rounds of its generator instead of ten, in torch operations: half of the time to compile it.

    For tests that compare compiled code with eager code, and neither with kernels: `tests.noise` does that.
    """
    from adaptive_dropout.noise import backend, philox

    monkeypatch.setattr(philox, "ROUNDS", 2)
    monkeypatch.setattr(backend, "transforming", lambda: True)


@pytest.fixture(autouse=True, scope="session")
def _one_token_for_ray() -> Iterator[None]:
    # Ray writes one into the home folder, unless it is given one, which it remembers as long as the process lives.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex())
        yield


@pytest.fixture(autouse=True, scope="session")
def _private_wandb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("wandb-private")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_ARTIFACT_DIR"):
            patch.setenv(name, str(folder))
        patch.delenv("WANDB_API_KEY", raising=False)
        patch.setenv("NETRC", str(folder / "no-netrc"))
        yield
