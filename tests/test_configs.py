"""Every configuration parses and builds, with each one of every other axis."""

from __future__ import annotations

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
# Every pair of the three axes at least once; all triples take three times as long.
TOGETHER = [
    (data, dropout, AXES["control"][(i + j) % len(AXES["control"])])
    for i, data in enumerate(AXES["data"])
    for j, dropout in enumerate(AXES["dropout"])
]
RATES = {MLP: 2, CNN: 3, GPT: 7}
SETTABLE = {"dropout/standard", "dropout/gaussian"}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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


def test_every_pair_of_axes_is_together_somewhere() -> None:
    for first, second in ((0, 1), (0, 2), (1, 2)):
        axes = [AXES[("data", "dropout", "control")[i]] for i in (first, second)]
        assert {(names[first], names[second]) for names in TOGETHER} == {(a, b) for a in axes[0] for b in axes[1]}


@pytest.mark.parametrize("names", TOGETHER, ids=" ".join)
def test_data_dropout_and_control_add_up(names: tuple[str, ...], parser: LightningArgumentParser) -> None:
    parsed = parser.parse_args(config(*names, "trainer/default"))
    del parsed["data"]  # most need files; tests/data builds them
    parsed["trainer"] = {"callbacks": parsed["trainer"]["callbacks"]}
    model = parser.instantiate(parsed)["model"]
    rates = dict(ad.named_rates(model))
    assert len(rates) == RATES[type(model.network)]
    assert len({id(rate) for rate in rates.values()}) == len(rates), "layers share a rate"
    assert bool(ad.get_rates(model, ad.SettableRate)) == (names[1] in SETTABLE)
