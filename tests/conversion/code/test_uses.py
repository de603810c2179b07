"""Which numbers the code of a module gives to functions that drop, whatever they are called."""

from __future__ import annotations

import functools
import sys
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import dropout as zero_some
from torch.utils.checkpoint import checkpoint

import adaptive_dropout as ad
from adaptive_dropout import functional as ours
from adaptive_dropout.conversion.code.uses import uses


def thinned(x: Any, share: float, training: bool) -> Any:
    return thinned_again(x, q=share, training=training)


def thinned_again(x: Any, q: float = 0.5, training: bool = True) -> Any:
    return zero_some(x, q, training)


def of_module(module: Any, x: Any) -> Any:
    return F.dropout(x, module.of_module, module.training)


def drop_path(x: Any, drop_prob: float = 0.0, training: bool = False) -> Any:
    """As it is copied from repository to repository."""
    keep = 1 - drop_prob
    return x.div(keep) * (keep + torch.rand(len(x), 1)).floor_() if training else x


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Base(nn.Module):
    def forward(self, x: Any) -> Any:
        return F.dropout(x, self.inherited)


class Gives(Base):
    @property
    def half_hidden(self) -> Any:
        return self._hidden if self.training else 0.0

    def returns(self) -> Any:
        return float(self.returned)

    def method(self, x: Any, rate: float) -> Any:
        return F.dropout2d(x, p=rate)

    @staticmethod
    def static(x: Any, rate: float) -> Any:
        return F.alpha_dropout(x, rate)

    def handed_on(self, x: Any) -> Any:
        return F.dropout(x, self.in_handed_on)

    def unused(self, x: Any) -> Any:
        return F.dropout(x, self.never)

    @decorated
    def forward(me, x: Any, mask: Any = None) -> Any:  # noqa: N805
        import torch.nn.functional as functional

        drop = F.dropout
        x = F.dropout(x, me.positional, me.training)
        x = functional.dropout(x, p=me.config.dropout)
        x = drop(x, me.on_condition if me.training else 0.0)
        x = nn.functional.dropout(x, 0.0 if not me.training else float(me.on_other_condition))
        rate = me.in_variable
        if not me.training:
            rate = 0.0
        x = torch.dropout(x, rate, True)
        first, second = me.unpacked, me.named_after
        for each in (me.in_loop, second):
            x = F.dropout(x, each)
        x = thinned(x, first, me.training) + of_module(me, x)
        x = me.method(x, me.to_method) + me.static(x, me.to_static) + super().forward(x)
        x = F.dropout(x, me.returns()) + F.dropout(x, me.half_hidden)
        x = checkpoint(me.handed_on, x) + checkpoint(me.method, x, me.checkpointed)
        x = partial(F.dropout, p=me.partial)(x)
        x = F.scaled_dot_product_attention(x, x, x, mask, me.training and me.attention)
        x = F.multi_head_attention_forward(x, dropout_p=me.heads)
        x = ours.dropout(x, me.to_ours) + ours.dropout_add(x, x, me.to_ours_with_residual)
        x = drop_path(x, me.to_copied, me.training)
        x = F.dropout(x, getattr(me, "asked_for", 0.1)) + F.dropout(x, me.__private)
        x = [F.dropout(z, me.in_comprehension) for z in x]

        def inner(x: Any) -> Any:
            return F.dropout(x, me.in_inner)

        return inner(x) + (lambda x: F.dropout(x, me.in_lambda))(x)


GIVEN = (
    "asked_for attention checkpointed config.dropout heads in_comprehension in_handed_on in_inner in_lambda in_loop "
    "in_variable inherited named_after of_module on_condition on_other_condition partial positional returned to_copied "
    "to_method to_ours to_ours_with_residual to_static unpacked _hidden _Gives__private"
)


def test_a_number_is_followed_through_names_helpers_and_conditions_to_the_function_that_drops() -> None:
    assert uses(Gives).given - {"training"} == set(GIVEN.split())
    assert uses(Gives).known


class Computes(nn.Module):
    def forward(self, x: Any) -> Any:
        x = F.dropout(x, 1 - self.keep) + F.dropout(x, self.twice * 2) + F.dropout(x, min(self.at_most, 0.5))
        grown = self.grown
        if x.sum() > 0:
            grown *= 2
        self.counted = self.counted + 1
        return F.dropout(x, grown) + F.dropout(x, self.by_step[self.counted]) + self.unrelated


def test_what_a_probability_is_computed_from_is_told_apart() -> None:
    code = uses(Computes)
    assert code.given == set()
    assert code.computed >= {"keep", "twice", "at_most", "grown"}
    assert "unrelated" not in code.computed
    assert code.written == {"counted"}


def test_variables_and_helpers_that_go_round_in_circles_end() -> None:
    class Circles(nn.Module):
        def again(self, x: Any, rate: float) -> Any:
            return self.again(x, rate) if x.sum() else F.dropout(x, rate)

        def forward(self, x: Any) -> Any:
            node, a, b = self, self.p, None
            while x.sum():
                node, a, b = node.next, b, a
            return self.again(x, a) + F.dropout(x, node.q)

    assert {"p", "q", "next.q", "next.next.q"} <= uses(Circles).given


def test_code_without_source_is_not_known() -> None:
    scope: dict[str, Any] = {"nn": nn, "F": F}
    exec("class Typed(nn.Module):\n    def forward(self, x): return F.dropout(x, self.p)", scope)
    assert not uses(scope["Typed"]).known


def test_attention_of_packages_that_are_not_installed_here_is_known_by_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def flash_attn_func(q: Any, k: Any, v: Any, dropout_p: float = 0.0) -> Any: ...

    package = ModuleType("flash_attn")
    package.flash_attn_func = flash_attn_func
    monkeypatch.setitem(sys.modules, "flash_attn", package)

    class Flash(nn.Module):
        def forward(self, x: Any) -> Any:
            return flash_attn_func(x, x, x, self.rate)

    assert uses(Flash).given == {"rate"}


class Rated(nn.Module):
    """Numbers under names of all kinds, three of them of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.rate, self.p, self.dropout, self.dropout_rate = 0.1, 0.2, 0.3, 0
        self.config = SimpleNamespace(text=SimpleNamespace(p=0.4), image=0.5)
        self.layer = nn.Dropout(0.6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for p in (self.rate, self.p, self.dropout, self.dropout_rate, self.config.text.p, self.config.image):
            x = F.dropout(x, p, self.training)
        return thinned(x, self.layer.p, self.training)


def test_rates_are_named_after_their_attributes_and_each_is_driven() -> None:
    model = nn.Sequential(Rated())
    names = {"config_image", "config_text_p", "dropout_p", "dropout_rate", "layer", "p", "rate"}
    assert set(ad.convert(model)) == {f"0.{name}" for name in names} == set(ad.get_rates(model))
    ad.set_rates(model, dict.fromkeys(ad.get_rates(model), 1.0))
    for silent in names:
        ad.set_rates(model, {f"0.{name}": float(name == silent) for name in names})
        assert not model(torch.ones(8)).any(), silent
    ad.set_rates(model, dict.fromkeys(ad.get_rates(model), 0.0))
    assert torch.equal(model(torch.ones(8)), torch.ones(8))
    held = ad.revert(model)[0]
    assert (held.rate, held.p, held.dropout, held.dropout_rate, held.layer.p) == (0.1, 0.2, 0.3, 0, 0.6)


def test_a_number_that_another_module_reads_is_a_rate_of_its_own_and_listed_once() -> None:
    class Held(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dropout = 0.1

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Held()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.dropout(self.block(x), self.block.dropout, self.training)

    model = Reads()
    assert [(row.name, row.reachable) for row in ad.inventory(model)] == [("block.dropout", True)]
    ad.convert(model)["block.dropout"].p = 1.0
    assert [(row.name, row.reachable) for row in ad.inventory(model)] == [("block.dropout", True)]
    assert not model(torch.ones(5)).any()
