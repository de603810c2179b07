"""What is changed inside a ``with`` block is put back, and what torch compiles is recognised."""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest
import torch
from torch import nn

from adaptive_dropout.contexts import evaluating, is_compiled, is_scripted, replaced, unchanged


def test_attributes_come_back_and_new_ones_go() -> None:
    layer = nn.Dropout(0.3)
    with suppress(KeyError), replaced(layer, p=0.7, forward=abs):
        assert (layer.p, layer.forward) == (0.7, abs)
        raise KeyError
    assert layer.p == 0.3
    assert "forward" not in vars(layer)


def test_a_module_of_python_is_an_owner_too() -> None:
    before = sys.argv
    with replaced(sys, argv=["other"]):
        assert sys.argv == ["other"]
    assert sys.argv is before


def test_parts_in_eval_mode_stay_there() -> None:
    model = nn.Sequential(nn.Dropout(0.3), nn.BatchNorm1d(2).eval())
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, True, False]


def test_buffers_and_generators_come_back_and_weights_do_not() -> None:
    model = nn.BatchNorm1d(2)
    kept, state = model.running_mean, torch.get_rng_state()
    with unchanged(model):
        model(torch.randn(8, 2))
        nn.init.ones_(model.bias)
    assert model.running_mean is kept
    assert not kept.any()
    assert model.bias.all()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*is deprecated")
def test_compiled_and_scripted_modules_are_told_from_others() -> None:
    plain, inside = nn.Linear(2, 2), nn.Linear(2, 2)
    wrapper, inplace = torch.compile(inside, backend="eager"), nn.Linear(2, 2)
    inplace.compile(backend="eager")
    assert [is_compiled(each) for each in (plain, inside, wrapper, inplace)] == [False, False, True, True]
    scripted = torch.jit.script(plain)
    assert [is_scripted(each) for each in (plain, wrapper, scripted)] == [False, False, True]
    assert not is_compiled(scripted)


def test_a_torch_without_the_mark_of_compiled_modules_is_told() -> None:
    module = nn.Linear(2, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(nn.Module, "_compiled_call_impl")
        with pytest.raises(RuntimeError, match="does not tell whether a module is compiled"):
            is_compiled(module)
