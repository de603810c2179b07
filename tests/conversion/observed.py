"""What a model really drops: zeros counted where its layers and functions draw them, each under its rate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.conversion import attention as conversion_attention

ATTENTION = F.scaled_dot_product_attention
MOVING = ad.functional.scaled_dot_product_attention
DROPOUT = F.dropout


class Case(NamedTuple):
    """A model, how it is called, and which of its rates are measured elsewhere or out of reach."""

    model: nn.Module
    run: Callable[[nn.Module], Any]
    elsewhere: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()


class Count:
    """How many of the elements that were not zero were dropped."""

    def __init__(self) -> None:
        self.dropped = self.total = 0

    def add(self, before: Tensor, after: Tensor) -> None:
        alive = before != 0
        self.total += int(alive.sum())
        self.dropped += int((alive & (after == 0)).sum())

    def check(self, name: str, p: float) -> None:
        """Raise unless the frequency is p within 5 standard errors, and the error small enough to say so."""
        assert self.total > 200, f"{name}: seen {self.total} times"
        error = (p * (1 - p) / self.total) ** 0.5
        assert abs(self.dropped / self.total - p) <= 5 * error, f"{name}: {self.dropped / self.total} for {p}"


def own_rates(model: nn.Module) -> dict[str, float]:
    """Give each settable rate of ``model`` a p of its own, a multiple of 0.01, and return them."""
    names = list(ad.get_rates(model, ad.SettableRate))
    assert len(names) < 60, "there are not so many hundredths"
    rates = {name: (20 + number) / 100 for number, name in enumerate(names)}
    ad.set_rates(model, rates)
    return rates


def count_drops(case: Case, monkeypatch: pytest.MonkeyPatch, passes: int) -> dict[float, Count]:
    """Run the model in training mode and return the counts by p; every rate has one of its own."""
    counts: dict[float, Count] = defaultdict(Count)

    def dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        y = DROPOUT(x, p, training)
        if training and p:
            counts[p].add(x, y)
        return y

    def attention(q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        p = kwargs.get("dropout_p", args[1] if len(args) > 1 else 0.0)
        if p in ad.get_rates(case.model).values():  # against an identity the output is the attention itself
            rest = {name: value for name, value in kwargs.items() if name != "dropout_p"}
            mask = {"attn_mask": args[0]} if args else {}
            eye = torch.eye(k.shape[-2]).expand(*k.shape[:-1], -1)
            weights = [ATTENTION(q, k, eye, **{**rest, **mask}, dropout_p=some) for some in (0.0, p)]
            counts[p].add(*weights)
        return ATTENTION(q, k, v, *args, **kwargs)

    def moving_attention(q: Tensor, k: Tensor, v: Tensor, p: Tensor, *rest: Any) -> Tensor:
        k, v = (x.repeat_interleave(q.shape[-3] // x.shape[-3], -3) for x in (k, v))
        eye = torch.eye(k.shape[-2]).expand(*k.shape[:-1], -1)
        number = round(p.item(), 6)
        counts[number].add(*[MOVING(q, k, eye, some, *rest) for some in (0.0, number)])
        return MOVING(q, k, v, p, *rest)

    def listen(layer: ad.NoiseLayer, args: tuple[Tensor], y: Tensor) -> None:
        x = args[0]
        if isinstance(layer, ad.DropPath):  # an example is dropped or not
            x, y = x.flatten(1).abs().amax(1), y.flatten(1).abs().amax(1)
        counts[layer.p].add(x, y)

    monkeypatch.setattr(F, "dropout", dropout)
    monkeypatch.setattr(F, "scaled_dot_product_attention", attention)
    monkeypatch.setattr(conversion_attention, "scaled_dot_product_attention", moving_attention)
    layers = [module for module in case.model.modules() if isinstance(module, ad.NoiseLayer)]
    handles = [layer.register_forward_hook(listen) for layer in layers]
    case.model.train()
    with torch.no_grad():
        for _ in range(passes):
            case.run(case.model)
    for handle in handles:
        handle.remove()
    return counts


def outputs(case: Case) -> list[Tensor]:
    """What the model gives in eval mode, all tensors of it."""
    with torch.no_grad():
        given = case.run(case.model.eval())
    values = given.values() if isinstance(given, dict) else given if isinstance(given, (tuple, list)) else [given]
    return [value for value in values if isinstance(value, Tensor)]


def check_every_rate(case: Case, monkeypatch: pytest.MonkeyPatch, passes: int = 24) -> None:
    """Raise unless each rate is driven or said to be out of reach, and the model comes back as it was."""
    before, state = outputs(case), case.model.state_dict()
    keys, plain = list(state), {name: value.clone() for name, value in state.items()}
    rows = ad.inventory(case.model)
    assert sorted(row.name for row in rows.unreachable()) == sorted(case.unreachable)
    assert all(row.why for row in rows)
    converted = ad.convert(case.model)
    assert set(converted) == {row.name for row in rows if row.reachable} == set(ad.get_rates(case.model))
    assert list(case.model.state_dict()) == keys
    rates = own_rates(case.model)
    with monkeypatch.context() as patch:
        counts = count_drops(case, patch, passes)
    for name, p in rates.items():
        if name not in case.elsewhere:
            counts.pop(p, Count()).check(name, p)
    assert not set(counts) - {rates[name] for name in case.elsewhere}, "something else drops"
    case.model.load_state_dict(plain, strict=True)
    ours = case.model.state_dict()
    ad.revert(case.model).load_state_dict(ours, strict=True)
    after = outputs(case)
    assert len(before) == len(after) > 0
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
