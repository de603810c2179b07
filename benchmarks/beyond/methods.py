"""What is compared: no dropout, a fixed rate, and a rate that validation steers."""

from __future__ import annotations

from dataclasses import dataclass

import adaptive_dropout as ad
from adaptive_dropout.checks import check_p
from benchmarks.study.study import Kinds

__all__ = ["METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """Where the rate starts, and who moves it.

    Args:
        start: the p that it starts with, in [0, 1].
        controller: decides at each validation.
    """

    start: float
    controller: ad.Controller


def none() -> Method:
    """Leave dropout off."""
    return fixed(0.0)


def fixed(p: float = 0.5) -> Method:
    """Keep the rate at ``p``, in [0, 1]."""
    return Method(check_p(p), ad.FixedController())


def steered(start: float = 0.3) -> Method:
    """Let the default controller move the rate from ``start``, in [0, 1]."""
    return Method(check_p(start, "start"), ad.RewindController())


METHODS: Kinds = {"none": none, "fixed": fixed, "steered": steered}
