"""``adaptive-dropout tune``: the classical answer, one fixed rate chosen by k-fold cross-validation."""

from __future__ import annotations

from adaptive_dropout.cli.tune.command import tune

__all__ = ["tune"]
