"""A rate holds a drop probability p as a 0-dim float32 tensor with exactly one writer, named by its type.

The tensor is changed in place and never replaced, so a compiled model reads the new p without recompiling. It is not a
part of a model's ``state_dict`` unless it is learned, so checkpoints load strictly with and without this library; the
value of a settable rate is stored in the state of its writer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from adaptive_dropout.checks import check_p
from adaptive_dropout.probability import logit
from adaptive_dropout.schedules import Schedule

__all__ = ["FixedRate", "LearnedRate", "Rate", "ScheduledRate", "SettableRate", "StoredRate"]


class Rate(nn.Module, ABC):
    """Holds one drop probability; layers read ``value``, people read ``p``.

    It stays float32 when the model is cast (bfloat16 would turn 0.3 into 0.3008 and swallow a change of 0.0005),
    follows the model from device to device, and survives ``deepcopy`` and pickle. One rate may serve many layers.
    """

    writer: ClassVar[str]
    """The writer of this rate, in words that complete "this rate is written by ..."."""

    value: Tensor
    """p as a 0-dim float32 tensor in [0, 1]."""

    host_value: Tensor | None = None
    """The same in the memory of the CPU, which Python reads without waiting for a device; None for a learned p."""

    @property
    def kernel_value(self) -> Tensor:
        """p for a kernel that takes it from the CPU: ``host_value`` in compiled code, which cannot see ``known_p``."""
        return self.value if self.host_value is None or not torch.compiler.is_compiling() else self.host_value

    def read(self) -> Tensor:
        """Return ``value``; where that is a buffer, without the three places in which a module looks for it."""
        return self.value

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


class StoredRate(Rate):
    """A rate in a buffer, with the Python float from which the buffer was filled.

    ``host_value`` stays on the CPU where the model moves to a device. No buffer, it is a graph input of compiled code,
    and is changed in place too.
    """

    host_value: Tensor

    def __init__(self, p: float) -> None:
        super().__init__()
        self._p = check_p(p)
        self.register_buffer("value", torch.tensor(self._p, dtype=torch.float32), persistent=False)
        self.host_value = torch.tensor(self._p, dtype=torch.float32, device="cpu")
        self._note()

    def read(self) -> Tensor:
        """Return ``value``."""
        return cast(Tensor, self._buffers["value"])

    def _read(self) -> float:
        return self._p

    def refresh(self) -> None:
        """Fill the buffer from p again, after something else has written to it."""
        # Where many are filled under one no_grad, each of its own would take longer than the filling.
        with torch.no_grad() if torch.is_grad_enabled() else nullcontext():
            self.read().fill_(self._p)
            self.host_value.fill_(self._p)
        self._note()

    def _store(self, p: float) -> None:
        vars(self)["_p"] = p  # a module's own way to set an attribute first looks whether it is a parameter or a layer
        self.refresh()

    def _note(self) -> None:
        """Leave p on its tensor as a number, which `functional` reads without waiting for a device."""
        self.read().known_p = self._p  # type: ignore[attr-defined]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Rate:
        super()._apply(fn, recurse)
        if not self.value.is_meta:
            self.refresh()  # to_empty() leaves uninitialised memory
        return self


class SettableRate(StoredRate):
    """A rate that the user or a controller sets.

    >>> rate = SettableRate(0.5)
    >>> rate.set(0.2)
    >>> rate.p
    0.2
    """

    writer = "set(), the user or a controller"

    found = False
    """Whether a controller has steered the rate to where it is, in a run that has ended."""

    def set(self, p: float) -> None:
        """Move the rate to ``p`` in [0, 1].

        Raises:
            TypeError: ``p`` is not a number.
            ValueError: ``p`` is NaN or outside [0, 1]; the rate keeps its old value.
        """
        self._store(check_p(p))

    def _write(self, p: float) -> None:
        self.set(p)


class FixedRate(StoredRate):
    """A rate that stays where the user puts it: controllers leave it alone, and ``p`` can be assigned.

    >>> rate = FixedRate(0.5)
    >>> rate.p = 0.2
    >>> rate.p
    0.2
    """

    writer = "the user alone"

    def _write(self, p: float) -> None:
        self._store(check_p(p))


class ScheduledRate(StoredRate):
    """A rate that follows a schedule: ``set_step`` moves it to the p of a step. It counts no steps itself.

    Because the step is absolute, setting it twice changes nothing: resuming, gradient accumulation and recomputation in
    the backward pass all see the p of their step.
    """

    writer = "its schedule"

    def __init__(self, schedule: Schedule) -> None:
        if not isinstance(schedule, Schedule):
            raise TypeError(f"a ScheduledRate needs a Schedule, but got {schedule!r}; for a constant use SettableRate")
        super().__init__(schedule(0))
        self.schedule = schedule
        self._resolved = schedule

    def resolve(self, total_steps: int) -> None:
        """Convert horizons given as fractions of training to steps, for a run of ``total_steps`` optimizer steps."""
        self._resolved = self.schedule.over(total_steps)

    def set_step(self, step: int) -> None:
        """Move to the p of ``step``, the number of optimizer steps done so far (0 before the first)."""
        p = self._resolved(step)
        if not (type(p) is float and 0.0 <= p <= 1.0):  # the message costs more than the step
            p = check_p(p, f"p of {self._resolved!r} at step {step}")
        self._store(p)

    def extra_repr(self) -> str:
        """Show p and its schedule."""
        return f"p={self.p:g}, schedule={self.schedule!r}"


class LearnedRate(Rate):
    """A rate that the optimizer learns: p = sigmoid(logit), with ``logit`` a float32 parameter.

    Put the logit into a parameter group of its own with `rate_param_groups`: weight decay would pull p to 0.5, and Adam
    moves a logit by about its learning rate per step, so that with the usual 1e-3 it would not arrive.

    Args:
        p: the start, strictly between 0 and 1; at either end the logit is infinite and never learns.
        shape: of ``logit`` and ``value``: (features,) for one p per unit, (channels, 1, 1) for one per channel. It has
            to broadcast to the input of the layer. The float ``p`` is then their mean.
    """

    writer = "the optimizer"

    def __init__(self, p: float = 0.1, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        if not 0.0 < check_p(p) < 1.0:
            raise ValueError(f"a learned p has to start strictly between 0 and 1, but got {p}; use 0.01 or 0.99")
        self.logit = nn.Parameter(torch.full(shape, logit(float(p)), dtype=torch.float32))

    @property
    def value(self) -> Tensor:  # type: ignore[override]  # computed here, stored in the other rates
        """p as a float32 tensor in (0, 1), of the shape of ``logit``; its gradient reaches ``logit``."""
        return torch.sigmoid(self.logit)

    def _read(self) -> float:
        return torch.sigmoid(self.logit.detach()).mean().item()
