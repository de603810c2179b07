"""The loop of `adaptive_dropout` in plain Python: measure, decide, apply, and test the best by validation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import adaptive_dropout as ad
from adaptive_dropout.signals import CleanLoss
from benchmarks.beyond.learner import Learner

__all__ = ["VALIDATIONS", "Found", "steer"]

VALIDATIONS = 50
"""How often a run validates."""


@dataclass(frozen=True)
class Found:
    """What a run ended with.

    Args:
        val_loss: the lowest validation loss.
        test_loss: the test loss of the model that had it.
        final_rate: the last p, the mean of several.
        rewinds: how often it went back to its best, or to its beginning.
    """

    val_loss: float
    test_loss: float
    final_rate: float
    rewinds: int


def steer(learner: Learner, controller: ad.Controller, validations: int = VALIDATIONS) -> Found:
    """Train ``learner`` while ``controller`` moves its rates, and test it where validation was best.

    Raises:
        ValueError: no validation loss was finite.
    """
    state, clean, best, rewinds = controller.init(learner.rates()), CleanLoss(), math.inf, 0
    for number in range(1, validations + 1):
        progress = learner.advance()
        val_loss = sum(progress.val_losses) / len(progress.val_losses)
        signals = clean.signals(progress.clean_losses, progress.val_losses) | {
            "train_loss": progress.train_loss,
            "val_loss": val_loss,
            "trivial_loss": learner.trivial_loss,
            "step": number * learner.every,
            "total_steps": validations * learner.every,
        }
        state = controller.update(state, signals)
        rewinds += state.rewind or state.restart
        if val_loss < best:
            best = val_loss
            learner.take()
            clean.mark()
        if state.rewind:
            learner.restore()
        elif state.restart:
            learner.restart()
        learner.set_rates(state.rates)
    if not math.isfinite(best):
        raise ValueError(f"no validation loss was finite; the last was {val_loss}")
    final = state.rates.values()
    learner.restore()
    return Found(best, learner.test_loss(), sum(final) / len(final), rewinds)
