"""`AdaptiveDropout` changes nothing that a run computes, logs or saves, whatever the LightningModule does.

Each kind is trained twice from one seed, without our callback and with one whose rates stay fixed and that measures the
clean loss; all that can be told of the two runs has to be equal, bit for bit. A plain run of pytest trains one kind in
four; the others, and all that are compiled, are slow tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptive_dropout.callbacks import AdaptiveDropout
from tests.field import (
    kinds_batches,
    kinds_collecting,
    kinds_metrics,
    kinds_optimizing,
    kinds_outside,
    kinds_state,
    kinds_transfer,
)
from tests.field.harness import Kind, Measured, Told, differences, run

pytestmark = pytest.mark.slow

PARTS = (
    kinds_collecting, kinds_metrics, kinds_transfer, kinds_state, kinds_optimizing, kinds_batches, kinds_outside
)  # fmt: skip
KINDS = [kind for part in PARTS for kind in part.KINDS]
TELLS = ("this run validates", "cannot be measured")  # what our callback may warn of


def is_slow(number: int, kind: Kind) -> bool:
    return number % 4 != 0 or kind.name.startswith("compiled")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=kind.name, marks=[pytest.mark.slow] if is_slow(number, kind) else [])
        for number, kind in enumerate(KINDS)
    ],
)
def test_a_run_is_the_same_with_the_callback(kind: Kind, tmp_path: Path) -> None:
    without = run(kind, tmp_path / "without", None)
    ours = run(kind, tmp_path / "with", AdaptiveDropout(Measured(), monitor=kind.monitor))
    for part in ("weights", "rows", "metrics", "generators", "held", "saved", "records", "files"):
        assert differences(getattr(ours, part), getattr(without, part), part)[:3] == []
    assert [line for line in ours.warned if not any(told in line for told in TELLS)] == without.warned
    printed, table, _ = ours.printed.partition("dropout rates found")
    assert (printed, bool(table)) == (without.printed, True)
    check_measured(kind, ours)


def check_measured(kind: Kind, ours: Told) -> None:
    """The comparison says nothing about a run in which nothing was measured."""
    assert ours.own is not None
    seen = ours.own.state.signals  # type: ignore[union-attr]
    assert len(seen) >= 2
    given_up = [line for line in ours.warned if "cannot be measured" in line]
    assert all("clean_loss" in signals for signals in seen) == kind.measurable, given_up
    assert bool(given_up) != kind.measurable, given_up
