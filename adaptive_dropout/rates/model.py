"""The rates of a whole model by name: find, read and set them, move them with the step, give them to an optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from adaptive_dropout.checks import check_p
from adaptive_dropout.rates.attribute import AttributeRate
from adaptive_dropout.rates.kinds import Rate, ScheduledRate, SettableRate, StoredRate

__all__ = ["get_rates", "named_rates", "rate_param_groups", "refresh_rates", "set_rates", "set_step"]

R = TypeVar("R", bound=Rate)


def named_rates(model: nn.Module, kind: type[R] = Rate) -> Iterator[tuple[str, R]]:  # type: ignore[assignment]
    """Yield ``(name, rate)`` for each rate of ``model``, in the order of its modules.

    A rate is named after its layer, or after the attribute that it writes. A rate that several layers share is listed
    once, under the first of them.

    Args:
        model: any module.
        kind: only rates of this type, such as `SettableRate`.
    """
    for path, module in model.named_modules():
        if isinstance(module, kind):
            name = path.removesuffix(".rate")
            yield name.removesuffix("_rate") if isinstance(module, AttributeRate) else name, module


def get_rates(model: nn.Module, kind: type[Rate] = Rate) -> dict[str, float]:
    """Return ``{name: p}`` for the rates of ``model``; with ``kind``, for those of that type."""
    return {name: rate.p for name, rate in named_rates(model, kind)}


def set_rates(model: nn.Module, rates: Mapping[str, float]) -> None:
    """Set the settable rates of ``model`` to ``{name: p}``; other rates stay. All are checked before any moves.

    Raises:
        KeyError: the model has no rate of that name.
        TypeError: the rate has another writer (a schedule, the optimizer), or p is not a number.
        ValueError: p is NaN or outside [0, 1].
    """
    known: dict[str, Rate] = dict(named_rates(model))
    moves: list[tuple[SettableRate, float]] = []
    for name, p in rates.items():
        if name not in known:
            raise KeyError(f"no rate named {name!r}; the model has {sorted(known)}")
        rate = known[name]
        if not isinstance(rate, SettableRate):
            raise TypeError(f"rate {name!r} is written by {rate.writer}, not by set_rates; leave it out")
        moves.append((rate, check_p(p, f"p of {name!r}")))
    with torch.no_grad():
        for rate, p in moves:
            rate.set(p)


def set_step(model: nn.Module, step: int) -> None:
    """Move every scheduled rate of ``model`` to the p of ``step``, the optimizer steps done so far.

    Raises:
        ValueError: the model has no scheduled rate, so the call would quietly do nothing.
    """
    scheduled = [rate for _, rate in named_rates(model, ScheduledRate)]
    if not scheduled:
        raise ValueError(
            "the model has no scheduled rate; give a layer a schedule, as in Dropout(LinearSchedule(0.5, 0.0))"
        )
    for rate in scheduled:
        rate.set_step(step)


def refresh_rates(model: nn.Module) -> None:
    """Fill the tensor of every settable and scheduled rate of ``model`` from its p again.

    Call it after something has overwritten the buffers of a model, as weight averaging does when it ends.
    """
    with torch.no_grad():
        for _, rate in named_rates(model, StoredRate):
            rate.refresh()


def rate_param_groups(model: nn.Module, lr: float, rate_lr: float | None = None) -> list[dict[str, Any]]:
    """Return an optimizer's parameter groups: the model's weights, and the learned rates without weight decay.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    >>> optimizer = torch.optim.AdamW(rate_param_groups(model, lr=1e-3), weight_decay=0.01)

    Args:
        model: its parameters that require a gradient are divided into the groups.
        lr: the learning rate of the weights.
        rate_lr: the learning rate of the logits; by default 10 ``lr``; with ``lr`` rates would stop too early.

    Raises:
        ValueError: ``rate_lr`` is given, but the model has no learned rate.
    """
    rates: dict[str, Rate] = dict(named_rates(model))
    logits = [weight for rate in rates.values() for weight in rate.parameters() if weight.requires_grad]
    if rate_lr is not None and not logits:
        raise ValueError(f"rate_lr={rate_lr} is for learned rates, but the model has none; leave it out")
    apart = {id(parameter) for parameter in logits}
    weights = [w for w in model.parameters() if w.requires_grad and id(w) not in apart]
    groups: list[dict[str, Any]] = [{"params": weights, "lr": lr}]
    if logits:
        groups.append({"params": logits, "lr": 10 * lr if rate_lr is None else rate_lr, "weight_decay": 0.0})
    return groups
