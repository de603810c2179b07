from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.conversion.code.bytecode import functions_called, names_read


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Base(nn.Module):
    def forward(self, x: Any) -> Any:
        return F.dropout(x, self.inherited_drop)


class Reader(Base):
    @property
    def computed(self) -> Any:
        return self.property_drop

    def helper(self, x: Any) -> Any:
        return [torch.nn.functional.dropout(z, self.comprehension_drop) for z in x], lambda: self.lambda_drop

    @decorated
    def forward(me, x: Any) -> Any:  # noqa: N805
        p = me.attn.p if me.training else 0.0
        me.stored_drop = me.helper(divmod(me.one_drop, me.config.two_drop)), me.computed, x.other_drop, p
        return super().forward(x) + me.three_drop * me.four_drop

    def unused(self) -> Any:
        return self.unused_drop


def test_what_forward_reads_is_found_through_methods_properties_closures_decorators_and_super() -> None:
    names = {name for name in names_read(Reader()) if "drop" in name or "attn" in name}
    kinds = ("inherited", "property", "comprehension", "lambda", "one", "config.two", "three", "four")
    assert names == {f"{kind}_drop" for kind in kinds} | {"attn", "attn.p"}
    assert functions_called(Reader()) == ["F.dropout", "torch.nn.functional.dropout"]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_read_their_dropout(kind: type[nn.RNNBase]) -> None:
    assert "dropout" in names_read(kind(2, 2))


class Configured(nn.Module):
    """Two layers that read one configuration, one with a property that must not be asked."""

    class Config:
        def __init__(self) -> None:
            self.dropout = 0.1
            self.dropouts = 3
            self.use_dropout = True

        @property
        def device(self) -> Any:
            raise AssertionError("asked")

    class Block(nn.Module):
        def __init__(self, config: Any) -> None:
            super().__init__()
            self.config = config

        def forward(self, x: Any) -> Any:
            config = self.config.device, self.config.dropouts, self.config.use_dropout
            return F.dropout(x, self.config.dropout, self.training), config

    def __init__(self) -> None:
        super().__init__()
        config = self.Config()
        self.a, self.b = self.Block(config), self.Block(config)


def test_a_number_in_a_shared_configuration_is_one_rate_and_other_numbers_are_none() -> None:
    model = Configured()
    assert set(ad.convert(model)) == {"a.config_dropout"}
    ad.set_rates(model, {"a.config_dropout": 0.5})
    assert model.b.config.dropout == 0.5
    assert ad.convert(model) == {}
