"""The effects of a factorial design, from plain numbers: what one regulariser does, and what it does beside another.

An effect is a mean of differences between runs of the same seed that differ in nothing but the regularisers in
question, so the others, and the data of a seed, cancel. Its standard error is over these differences: it holds what
the other regularisers change about the effect, besides the noise of training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmarks.control.compare import mean_and_error
from benchmarks.supervised.compare import Spread

__all__ = ["Losses", "interaction", "joint_effect", "main_effect"]

Losses = Mapping[tuple[frozenset[str], int], float]
"""Test losses by the regularisers that are present and the seed."""


def main_effect(losses: Losses, factor: str) -> Spread | None:
    """Return the loss with ``factor`` minus that without, over all that was run both ways; None if nothing was."""
    return joint_effect(losses, frozenset([factor]))


def joint_effect(losses: Losses, factors: frozenset[str]) -> Spread | None:
    """Return the loss with all of ``factors`` minus that with none of them; None if nothing was run both ways."""
    return _mean(
        losses[present | factors, seed] - loss
        for (present, seed), loss in losses.items()
        if not present & factors and (present | factors, seed) in losses
    )


def interaction(losses: Losses, first: str, second: str) -> Spread | None:
    """Return the effect of ``first`` beside ``second`` minus its effect without; None if nothing was run all four ways.

    Above 0 they help less together than the sum of what each does.
    """
    differences = []
    for (present, seed), loss in losses.items():
        four = [(present | added, seed) for added in ({first}, {second}, {first, second})]
        if not present & {first, second} and all(key in losses for key in four):
            only_first, only_second, both = (losses[key] for key in four)
            differences.append(both - only_second - only_first + loss)
    return _mean(differences)


def _mean(differences: Iterable[float]) -> Spread | None:
    values = list(differences)
    return mean_and_error(values) if values else None
