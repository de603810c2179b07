"""The effects of a factorial design: those of one regulariser, of two together, and how far two depend on each other.

An effect is a mean of differences between runs of the same seed that differ in nothing but the regularisers in
question, so the others, and the data of a seed, cancel. Its standard error is over these differences: it holds what
the other regularisers change about the effect, besides the noise of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.study.statistics import Spread, mean_of_any
from benchmarks.study.study import Choice, Study
from benchmarks.supervised.training import TrainedRow

__all__ = ["Losses", "find_losses", "find_present", "interaction", "joint_effect", "list_regularisers", "main_effect"]

Losses = Mapping[tuple[frozenset[str], int], float]
"""Test losses by the regularisers that are present and the seed."""


def main_effect(losses: Losses, factor: str) -> Spread | None:
    """Return the loss with ``factor`` minus that without, over all that was run both ways; None if nothing was."""
    return joint_effect(losses, frozenset([factor]))


def joint_effect(losses: Losses, factors: frozenset[str]) -> Spread | None:
    """Return the loss with all of ``factors`` minus that with none of them; None if nothing was run both ways."""
    return mean_of_any(
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
    return mean_of_any(differences)


def find_present(method: Choice) -> frozenset[str]:
    """Return the regularisers that are above 0 in the settings of ``method``."""
    return frozenset(name for name, strength in method.settings.items() if strength > 0)


def list_regularisers(study: Study) -> list[str]:
    """Return the regularisers that any method of ``study`` has, in the order of the settings."""
    used = frozenset[str]().union(*map(find_present, study.methods))
    return [name for name in study.methods[0].settings if name in used]


def find_losses(study: Study, methods: Mapping[str, Sequence[TrainedRow]]) -> Losses:
    """Return the test losses of ``methods``, rows by name; of two strengths of a regulariser the last one counts."""
    present = {method.name: find_present(method) for method in study.methods}
    return {(present[name], row.seed): row.test_loss for name, rows in methods.items() for row in rows}
