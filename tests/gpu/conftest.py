"""What needs a device: skipped with one line where there is none, and by pytest-xdist, whose processes would share it.

``pytest tests/gpu`` takes a few minutes of one GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import torch

from adaptive_dropout.noise.loading import KERNELS

DEVICE = "cuda"


@cache
def obstacle() -> str | None:
    """Return why nothing can run on the device here; None if it can."""
    try:
        torch.ones(1, device=DEVICE)
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was compiled without CUDA
        return str(error).splitlines()[0]
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    # From one line of code, so that the summary counts all of them in one line.
    if hasattr(item.config, "workerinput") or obstacle() is not None:
        pytest.skip("needs a GPU, and one process for it: pytest tests/gpu")


@pytest.fixture
def device() -> torch.device:
    return torch.device(DEVICE)


@pytest.fixture(autouse=True)
def _device_is_left_as_it_was() -> Iterator[None]:
    """A test that fails inside of torch may leave another stream current, or waiting forbidden, for all later tests."""
    yield
    torch.cuda.set_stream(torch.cuda.default_stream())
    if torch.cuda.get_sync_debug_mode():
        torch.cuda.set_sync_debug_mode("default")


@pytest.fixture(autouse=True)
def _every_kernel_compiles() -> Iterator[None]:
    yield
    # A call of a kernel that fails to compile is answered by the reference, more slowly.
    assert not KERNELS[DEVICE].failed
