"""Every configuration parses and builds, in every combination of its axes."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import lightning.pytorch as L
import pytest
from jsonargparse import ActionConfigFile
from lightning.pytorch.cli import LightningArgumentParser

import adaptive_dropout as ad
from adaptive_dropout.networks import CNN, GPT, MLP
from tests.cli.commands import CONFIGS, config

AXES = {
    axis: sorted(f"{axis}/{path.stem}" for path in (CONFIGS / axis).glob("*.yaml"))
    for axis in ("data", "dropout", "control", "logger", "trainer")
}
RATES = {MLP: 2, CNN: 3, GPT: 7}
SETTABLE = {"dropout/standard", "dropout/gaussian"}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["adaptive-dropout"])


@pytest.fixture(scope="module")
def parser() -> LightningArgumentParser:
    """One parser for all combinations: building it takes longer than using it."""
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action=ActionConfigFile)
    parser.add_argument("--seed_everything", type=int)
    parser.add_lightning_class_args(L.Trainer, "trainer")
    parser.add_lightning_class_args(L.LightningModule, "model", subclass_mode=True)
    parser.add_lightning_class_args(L.LightningDataModule, "data", subclass_mode=True)
    return parser


@pytest.mark.parametrize("names", list(itertools.product(AXES["data"], AXES["dropout"], AXES["control"])), ids=" ".join)
def test_data_dropout_and_control_add_up(names: tuple[str, ...], parser: LightningArgumentParser) -> None:
    parsed = parser.parse_args(config(*names, "trainer/default"))
    del parsed["data"]  # most need files; tests/data builds them
    parsed["trainer"] = {"callbacks": parsed["trainer"]["callbacks"]}
    model = parser.instantiate(parsed)["model"]
    rates = dict(ad.named_rates(model))
    assert len(rates) == RATES[type(model.network)]
    assert len({id(rate) for rate in rates.values()}) == len(rates), "layers share a rate"
    assert bool(ad.get_rates(model, ad.SettableRate)) == (names[1] in SETTABLE)
