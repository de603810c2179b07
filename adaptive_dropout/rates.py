"""A rate holds a drop probability p as a 0-dim float32 tensor with exactly one writer, named by its type.

The tensor is changed in place and never replaced by a new number: a compiled model reads the new p without
recompiling. It is no part of a model's ``state_dict`` unless it is learned, so checkpoints load strictly with and
without this library; the truth of a settable rate lives in the state of whoever sets it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from adaptive_dropout.probability import check_p, logit
from adaptive_dropout.schedules import Schedule

__all__ = [
    "LearnedRate",
    "Rate",
    "ScheduledRate",
    "SettableRate",
    "get_rates",
    "named_rates",
    "rate_param_groups",
    "refresh_rates",
    "set_rates",
    "set_step",
]

R = TypeVar("R", bound="Rate")


class Rate(nn.Module, ABC):
    """Holds one drop probability; layers read ``value``, people read ``p``.

    It stays float32 when the model is cast (bfloat16 would turn 0.3 into 0.3008 and swallow a change of 0.0005),
    follows the model from device to device, and survives ``deepcopy`` and pickle. One rate may serve many layers.
    """

    writer: ClassVar[str]
    """Who moves this rate, in words that fit "this rate is written by ..."."""

    value: Tensor
    """p as a 0-dim float32 tensor in [0, 1]."""

    @property
    def p(self) -> float:
        """The drop probability in [0, 1]. Assigning moves a `SettableRate`; any other has its own writer and raises."""
        return self._read()

    @p.setter
    def p(self, p: float) -> None:
        self._write(p)

    @abstractmethod
    def _read(self) -> float: ...

    def _write(self, p: float) -> None:
        raise AttributeError(
            f"this rate is written by {self.writer}, so p = {p!r} would be overwritten; "
            f"give the layer a float or SettableRate({p!r})"
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Rate:
        def keep_dtype(t: Tensor) -> Tensor:
            moved = fn(t)
            return moved if moved.dtype == t.dtype else t.to(moved.device)

        super()._apply(keep_dtype, recurse)  # type: ignore[no-untyped-call]
        return self

    def extra_repr(self) -> str:
        """Show p."""
        return f"p={self.p:g}"


class _StoredRate(Rate):
    """A rate kept in a buffer, with the Python float it was filled from beside it."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self._p = check_p(p)
        self.register_buffer("value", torch.tensor(self._p, dtype=torch.float32), persistent=False)

    def _read(self) -> float:
        return self._p

    def _store(self, p: float) -> None:
        self._p = p
        with torch.no_grad():
            self.value.fill_(p)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Rate:
        super()._apply(fn, recurse)
        if not self.value.is_meta:
            self._store(self._p)  # to_empty() hands over uninitialised memory
        return self


class SettableRate(_StoredRate):
    """A rate that the user or a controller sets.

    >>> rate = SettableRate(0.5)
    >>> rate.set(0.2)
    >>> rate.p
    0.2
    """

    writer = "set(), the user or a controller"

    def set(self, p: float) -> None:
        """Move the rate to ``p`` in [0, 1].

        Raises:
            TypeError: ``p`` is not a number.
            ValueError: ``p`` is NaN or outside [0, 1]; the rate keeps its old value.
        """
        self._store(check_p(p))

    def _write(self, p: float) -> None:
        self.set(p)


class ScheduledRate(_StoredRate):
    """A rate that follows a schedule; ``set_step`` places it, and nothing is counted here.

    Because the step is absolute, setting the same step twice changes nothing: resuming, gradient accumulation and
    recomputation in backward all see the p of their step.
    """

    writer = "its schedule"

    def __init__(self, schedule: Schedule) -> None:
        if not isinstance(schedule, Schedule):
            raise TypeError(f"a ScheduledRate needs a Schedule, but got {schedule!r}; for a constant use SettableRate")
        super().__init__(schedule(0))
        self.schedule = schedule
        self._resolved = schedule

    def resolve(self, total_steps: int) -> None:
        """Turn horizons given as fractions of training into steps, for a run of ``total_steps`` optimizer steps."""
        self._resolved = self.schedule.over(total_steps)

    def set_step(self, step: int) -> None:
        """Move to the p of ``step``, the number of optimizer steps done so far (0 before the first)."""
        self._store(check_p(self._resolved(step), f"p of {self._resolved!r} at step {step}"))

    def extra_repr(self) -> str:
        """Show p and the schedule it comes from."""
        return f"p={self.p:g}, schedule={self.schedule!r}"


class LearnedRate(Rate):
    """A rate that the optimizer learns: p = sigmoid(logit), with ``logit`` a float32 parameter.

    Put the logit into a parameter group of its own with `rate_param_groups`: weight decay would pull p to 0.5, and
    Adam moves a logit by about its learning rate a step, which for the usual 1e-3 is too slow to arrive.

    Args:
        p: where to start, strictly between 0 and 1; at either end the logit is infinite and never learns.
    """

    writer = "the optimizer"

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        if not 0.0 < check_p(p) < 1.0:
            raise ValueError(f"a learned p has to start strictly between 0 and 1, but got {p}; use 0.01 or 0.99")
        self.logit = nn.Parameter(torch.tensor(logit(float(p)), dtype=torch.float32))

    @property
    def value(self) -> Tensor:  # type: ignore[override]  # computed here, stored in the other rates
        """p as a 0-dim float32 tensor in (0, 1); its gradient reaches ``logit``."""
        return torch.sigmoid(self.logit)

    def _read(self) -> float:
        return torch.sigmoid(self.logit.detach()).item()


def named_rates(model: nn.Module, kind: type[R] = Rate) -> Iterator[tuple[str, R]]:  # type: ignore[assignment]
    """Yield ``(name, rate)`` for each rate of ``model``, in the order of its modules.

    A rate is named after its layer. One shared by several layers is listed once, under the first of them.

    Args:
        model: any module.
        kind: only rates of this type, such as `SettableRate`.
    """
    for path, module in model.named_modules():
        if isinstance(module, kind):
            yield path.removesuffix(".rate"), module


def get_rates(model: nn.Module, kind: type[Rate] = Rate) -> dict[str, float]:
    """Return ``{name: p}`` for the rates of ``model``; with ``kind``, for those of that type."""
    return {name: rate.p for name, rate in named_rates(model, kind)}


def set_rates(model: nn.Module, rates: Mapping[str, float]) -> None:
    """Set the settable rates of ``model`` to ``{name: p}``; rates not named stay. All are checked before one moves.

    Raises:
        KeyError: the model has no rate of that name.
        TypeError: the rate has another writer (a schedule, the optimizer), or p is not a number.
        ValueError: p is NaN or outside [0, 1].
    """
    known: dict[str, Rate] = dict(named_rates(model))
    for name, p in rates.items():
        if name not in known:
            raise KeyError(f"no rate named {name!r}; the model has {sorted(known)}")
        rate = known[name]
        if not isinstance(rate, SettableRate):
            raise TypeError(f"rate {name!r} is written by {rate.writer}, not by set_rates; leave it out")
        check_p(p, f"p of {name!r}")
    for name, p in rates.items():
        known[name].p = p


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

    For after something has written over the buffers of a model, as weight averaging does when it ends.
    """
    for _, rate in named_rates(model, _StoredRate):
        rate._store(rate.p)


def rate_param_groups(model: nn.Module, lr: float, rate_lr: float | None = None) -> list[dict[str, Any]]:
    """Return an optimizer's parameter groups: the model's weights, and the learned rates without weight decay.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    >>> optimizer = torch.optim.AdamW(rate_param_groups(model, lr=1e-3), weight_decay=0.01)

    Args:
        model: its parameters that require a gradient are divided.
        lr: learning rate of the weights.
        rate_lr: learning rate of the logits; by default 10 ``lr``, without which rates stop short of where they go.

    Raises:
        ValueError: ``rate_lr`` is given, but the model has no learned rate.
    """
    logits = [rate.logit for _, rate in named_rates(model, LearnedRate) if rate.logit.requires_grad]
    if rate_lr is not None and not logits:
        raise ValueError(f"rate_lr={rate_lr} is for learned rates, but the model has none; leave it out")
    apart = {id(parameter) for parameter in logits}
    weights = [w for w in model.parameters() if w.requires_grad and id(w) not in apart]
    groups: list[dict[str, Any]] = [{"params": weights, "lr": lr}]
    if logits:
        groups.append({"params": logits, "lr": 10 * lr if rate_lr is None else rate_lr, "weight_decay": 0.0})
    return groups
