"""The rows of a task by which regularisers were present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.regularisers.factorial import Losses
from benchmarks.study.study import Choice, Study
from benchmarks.supervised.training import TrainedRow

__all__ = ["losses_of", "present_in", "regularisers"]


def present_in(method: Choice) -> frozenset[str]:
    """Return what is above 0 in the settings of ``method``, whatever its strength."""
    return frozenset(name for name, strength in method.settings.items() if strength > 0)


def regularisers(study: Study) -> list[str]:
    """Return what is present in any method of ``study``, in the order of the settings."""
    used = frozenset[str]().union(*map(present_in, study.methods))
    return [name for name in study.methods[0].settings if name in used]


def losses_of(study: Study, methods: Mapping[str, Sequence[TrainedRow]]) -> Losses:
    """Return the test losses of ``methods``, which is by their names; of two strengths of the same the last counts."""
    present = {method.name: present_in(method) for method in study.methods}
    return {(present[name], row.seed): row.test_loss for name, rows in methods.items() for row in rows}
