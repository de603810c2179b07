"""A pytest plugin: torch and Lightning say that there are two GPUs, which nothing can use, and 16 cores.

``pytest -p tests.pretended_gpu`` shows on any machine what a workstation makes of tests for the CPU: Lightning warns
that GPUs are not used and that data loaders could have more workers, and whatever chooses its device by itself
(``accelerator="auto"``) chooses a GPU and fails. The processes that a test starts see none.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import torch
import torch.utils._triton

PROPERTIES = SimpleNamespace(name="pretended", major=9, minor=0, total_memory=1 << 36, multi_processor_count=132)
# What torch itself asks about devices that are there. Everything else still fails for want of a driver.
ANSWERS: dict[str, Any] = {
    "is_available": True,
    "device_count": 2,  # of more than one, torch warns where a generator is forked for all of them
    "current_device": 0,
    "is_current_stream_capturing": False,
    "get_device_properties": PROPERTIES,
    "get_device_capability": (9, 0),
    "get_device_name": PROPERTIES.name,
    "get_rng_state": torch.zeros(16, dtype=torch.uint8),
    "set_rng_state": None,
}


def pytest_configure() -> None:
    if hasattr(os, "sched_getaffinity"):  # Lightning counts by it, and advises more workers of loaders
        os.sched_getaffinity = lambda _: set(range(16))
    if torch.cuda.is_available():  # then it shows by itself
        return
    for name, answer in ANSWERS.items():
        for module in (torch.cuda, torch.cuda.random):
            if hasattr(module, name):
                setattr(module, name, lambda *_, answer=answer, **__: answer)
    # Optimizers and torch.compile would ask it for the current stream, which only a driver can make.
    torch.accelerator.is_available = lambda: False
    # torch.compile names its results after what Triton's driver says of the device.
    torch.utils._triton.triton_hash_with_backend = lambda: PROPERTIES.name
