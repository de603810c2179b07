"""A step that is repeated leaves no trace in any LightningModule: with all rates at 0 a run is the same, bit for bit.

Without dropout both passes are equal, so their mean loss and its gradient are those of one pass. Each kind is trained
twice from one seed, with and without the callback; a plain run of pytest trains one kind in
twelve.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import MultiSampleDropout, RDrop
from tests.field.harness import Kind, Told, differences, run
from tests.field.test_harmless import KINDS

pytestmark = pytest.mark.slow

UNROUNDED = ("generators", "records", "files")
ROUNDED = ("weights", "rows", "metrics", "held", "saved")
# Weights that a step uses more than once: the gradients of both passes are added in an order with another last bit.
SEVERAL_USES = {
    "queue", "teacher", "spectral_norm", "own_parametrisation", "tied_weights", "contrastive", "combined_loader",
    "dict_of_train_loaders",
}  # fmt: skip
UNCOMPILED = {"compiled_whole"}  # what runs uncompiled draws no key at p = 0
HOLDS_THE_TRAINER = {"keeps_trainer"}  # and with it the divergence that is logged
MANUAL = {"manual", "gan"}
TELLS = ("RDrop", "MultiSampleDropout", "a compiled LightningModule")  # what the callbacks may warn of
CALLBACKS = {"r_drop": lambda: RDrop(alpha=0.5), "multi_sample": lambda: MultiSampleDropout(2)}


def without_dropout(kind: Kind) -> Kind:
    def module(folder: Path) -> L.LightningModule:
        made = kind.module(folder)
        for name, rate in ad.named_rates(made):
            if isinstance(rate, ad.SettableRate):
                ad.set_rates(made, {name: 0.0})
        for part in made.modules():
            if isinstance(part, nn.modules.dropout._DropoutNd) and not isinstance(part, ad.NoiseLayer):
                part.p = 0.0
            if isinstance(getattr(part, "dropout", None), float):
                part.dropout = 0.0
        return made

    return replace(kind, module=module)


CASES = [(name, kind) for kind in KINDS for name in CALLBACKS]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, id=f"{kind.name}-{name}", marks=[pytest.mark.slow] if i % 12 else [])
        for i, (name, kind) in enumerate(CASES)
    ],
)
def test_a_run_without_dropout_is_the_same_with_repetitions(name: str, kind: Kind, tmp_path: Path) -> None:
    kind = without_dropout(kind)
    without = run(kind, tmp_path / "without", None)
    ours: Any = CALLBACKS[name]()
    if kind.name in MANUAL:
        with pytest.raises(ValueError, match="optimizes manually"):
            run(kind, tmp_path / "with", ours)
        return
    found = run(kind, tmp_path / "with", ours)
    parts = UNROUNDED if kind.name in SEVERAL_USES else (*ROUNDED, *UNROUNDED)
    parts = ("records", "files") if kind.name in UNCOMPILED else parts
    check_same(found, without, tuple(part for part in parts if part != "held" or kind.name not in HOLDS_THE_TRAINER))


def check_same(ours: Told, without: Told, parts: tuple[str, ...]) -> None:
    ours.metrics.pop("'r_drop_divergence'", None)
    for told in (ours, without):
        rows = [(step, {name: value for name, value in row.items() if "r_drop" not in name}) for step, row in told.rows]
        told.rows[:] = [(step, row) for step, row in rows if row.keys() - {"'epoch'"}]
    for part in parts:
        assert differences(getattr(ours, part), getattr(without, part), part)[:3] == []
    assert [line for line in ours.warned if not any(told in line for told in TELLS)] == without.warned
    assert ours.printed == without.printed
