"""Random generators that a measurement leaves as they were, whatever ends it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["fixed_seed"]


@contextmanager
def fixed_seed() -> Iterator[None]:
    """Let torch's, numpy's and Python's global generators start from the same seed, and put them back afterwards.

    Lightning's ``isolate_rng`` does not put them back after an exception.
    """
    cpu, numpy, python = torch.get_rng_state(), np.random.get_state(), random.getstate()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    torch.default_generator.manual_seed(0)
    if cuda is not None:
        torch.cuda.manual_seed_all(0)
    np.random.seed(0)  # what users' steps draw from
    random.seed(0)
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        np.random.set_state(numpy)
        random.setstate(python)
