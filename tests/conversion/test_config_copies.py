"""Rates in configurations: the model gets a copy, which is written to; what the user holds stays as it was written."""

from __future__ import annotations

import argparse
import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.conversion.found import find
from adaptive_dropout.conversion.swap import adapt


@dataclass
class Plain:
    dropout: float = 0.2


@dataclass(frozen=True)
class Frozen:
    dropout: float = 0.2


class Tupled(NamedTuple):
    dropout: float = 0.2


class OfClass:
    dropout = 0.2


class Slotted:
    __slots__ = ("dropout",)

    def __init__(self) -> None:
        self.dropout = 0.2


class Wrapping:
    """Keeps its numbers in a dictionary, which a shallow copy shares."""

    def __init__(self) -> None:
        vars(self)["numbers"] = {"dropout": 0.2}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return vars(self)["numbers"][name]

    def __setattr__(self, name: str, value: Any) -> None:
        self.numbers[name] = value


class Narrow(Wrapping):
    def __setattr__(self, name: str, value: Any) -> None:
        raise ValueError(f"{name} is at most 0.3")


class Block(nn.Module):
    def __init__(self, held: Any) -> None:
        super().__init__()
        self.held = held

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.held.dropout, self.training)


class Model(nn.Module):
    """Holds a configuration, as two of its blocks do under another name, and one of them twice."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.first, self.second = Block(config), Block(config)
        self.tied = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.tied(self.second(self.first(x)))


def held(model: nn.Module) -> list[Any]:
    return [model.config, model.first.held, model.second.held]


WRITABLE = [
    Plain,
    Frozen,
    OfClass,
    Slotted,
    lambda: SimpleNamespace(dropout=0.2),
    lambda: argparse.Namespace(dropout=0.2),
]


@pytest.mark.parametrize("make", WRITABLE)
def test_the_model_gets_one_copy_and_the_configuration_stays_as_it_is(make: Callable[[], Any]) -> None:
    config = make()
    model = Model(config)
    assert set(ad.convert(model)) == {"first.held_dropout"}
    ad.set_rates(model, {"first.held_dropout": 0.5})
    (one,) = {id(each): each for each in held(model)}.values()
    assert (one.dropout, config.dropout) == (0.5, 0.2)
    assert type(one) is type(config)
    assert ad.convert(model) == {}
    ad.revert(model)
    assert all(each is config for each in held(model))
    assert config.dropout == 0.2
    assert not any("convert" in name for module in model.modules() for name in vars(module))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("make", [Plain, Frozen])
def test_a_copy_of_the_model_writes_its_own(make: Callable[[], Any], copied: Callable[[nn.Module], nn.Module]) -> None:
    model = Model(make())
    ad.convert(model)
    ad.set_rates(model, {"first.held_dropout": 0.5})
    twin = copied(model)
    ad.set_rates(twin, {"first.held_dropout": 0.9})
    assert [each.dropout for each in held(twin)] == [0.9] * 3
    assert [each.dropout for each in held(model)] == [0.5] * 3
    ad.revert(twin)
    assert [each.dropout for each in held(twin)] == [0.2] * 3


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (Tupled(), "Tupled cannot be written to: can't set attribute"),
        (Wrapping(), "Wrapping cannot be written to: a copy of it changes the original too"),
        (Narrow(), "Narrow cannot be written to: dropout is at most 0.3"),
        (OfClass, "type cannot be written to: a copy of it changes the original too"),
    ],
)
def test_one_that_cannot_be_written_is_listed_and_stays_as_it_is(config: Any, why: str) -> None:
    model = Model(config)
    assert [(row.name, row.p, row.why) for row in ad.inventory(model)] == [("first.held_dropout", 0.2, why)]
    assert adapt(model, find(model)) == {}
    with pytest.raises(ValueError, match=r"Model has no rate to adjust; first\.held_dropout: "):
        ad.convert(model)
    assert all(each is config for each in held(model))
    assert config.dropout == 0.2


class Deep(nn.Module):
    """A configuration in a configuration, which a block holds by itself."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config, self.block = config, Block(config.text)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(F.dropout(F.dropout(x, self.config.text.dropout), self.config.p))


def nested() -> Any:
    return SimpleNamespace(p=0.1, text=Plain(), size=3)


def of_omegaconf() -> Any:
    return pytest.importorskip("omegaconf").OmegaConf.create({"p": 0.1, "text": {"dropout": 0.2}, "size": 3})


@pytest.mark.parametrize("make", [nested, of_omegaconf])
def test_one_in_another_is_copied_with_it(make: Callable[[], Any]) -> None:
    config = make()
    text, model = config.text, Deep(config)
    assert set(ad.convert(model, where="*text*")) == {"config_text_dropout"}
    assert set(ad.convert(model)) == {"config_p"}  # later, in the same copy
    ad.set_rates(model, {"config_text_dropout": 0.5, "config_p": 0.6})
    assert (model.config.text.dropout, model.block.held.dropout, model.config.p, model.config.size) == (
        0.5,
        0.5,
        0.6,
        3,
    )
    assert (config.text.dropout, config.p, text.dropout) == (0.2, 0.1, 0.2)
    ad.revert(model)
    assert (model.config is config, model.block.held is text) == (True, True)


def test_omegaconf_that_is_for_reading_only_is_listed() -> None:
    config = of_omegaconf().text
    pytest.importorskip("omegaconf").OmegaConf.set_readonly(config, True)
    (row,) = ad.inventory(Model(config))
    assert row.why == "DictConfig cannot be written to: Cannot change read-only config container"


def test_an_example_input_leaves_the_configuration_as_it_is() -> None:
    config = Frozen()
    rows = ad.inventory(Model(config), torch.rand(4))
    assert [(row.name, row.reachable, row.p) for row in rows] == [("first.held_dropout", True, 0.2)]
    assert config.dropout == 0.2


class Lit(L.LightningModule):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.config = config
        self.net = Model(config)


def test_hyperparameters_say_what_the_user_wrote(tmp_path: Path) -> None:
    config = Plain()
    lit = Lit(config)
    ad.convert(lit)
    ad.set_rates(lit, {"net.first.held_dropout": 0.7})
    assert (lit.config.dropout, lit.net.config.dropout) == (0.7, 0.7)
    assert lit.hparams.config is config
    trainer = L.Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu")
    trainer.strategy.connect(lit)
    trainer.save_checkpoint(tmp_path / "it.ckpt")
    assert torch.load(tmp_path / "it.ckpt", weights_only=False)["hyper_parameters"]["config"].dropout == 0.2


class Hyper(L.LightningModule):
    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        self.save_hyperparameters()

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(F.dropout(x, self.hparams.dropout, self.training), self.hparams["dropout"], self.training)


def test_hyperparameters_themselves_are_no_place_to_write() -> None:
    model = Hyper()
    rows = ad.inventory(model)
    assert {row.name for row in rows} == {"hparams_dropout"}
    assert all(row.why.startswith("hparams are saved, so they stay; ") for row in rows)
    assert adapt(model, find(model)) == {}
    assert model.hparams.dropout == 0.3
