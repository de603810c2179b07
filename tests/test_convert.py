from __future__ import annotations

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.convert import NAMES, convert


@pytest.mark.parametrize("name", NAMES)
def test_each_of_torchs_layers_becomes_ours(name: str) -> None:
    model = nn.Sequential(getattr(nn, name)(0.3, inplace=True)).eval()
    (twin,) = convert(model).values()
    assert type(twin) is getattr(ad, name)
    assert (twin.p, twin.inplace, twin.training) == (0.3, True, False)


def test_nested_layers_are_found_and_named() -> None:
    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)), "b": nn.Dropout2d(0.0)})
    assert list(convert(model)) == ["b", "a.1"]
    assert ad.get_rates(model) == {"a.1": 0.1, "b": 0.0}


def test_a_layer_used_twice_stays_one_layer() -> None:
    shared = nn.Dropout(0.3)
    model = nn.ModuleDict({"a": shared, "b": nn.Sequential(shared)})
    convert(model)
    assert model["a"] is model["b"][0]
    assert ad.get_rates(model) == {"a": 0.3}


def test_keys_of_the_state_dict_stay_and_our_layers_are_left_alone() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1), ad.GaussianDropout(0.2))
    before, ours = list(model.state_dict()), model[2]
    convert(model)
    assert list(model.state_dict()) == before
    assert model[2] is ours
    assert convert(model) == {}


def test_eval_output_is_the_same() -> None:
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).eval(), torch.rand(3, 4)
    before = model(x)
    convert(model)
    assert torch.equal(model(x), before)
