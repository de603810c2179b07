"""The base of callbacks that run each training step several times: once as ever, and again with other masks."""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from adaptive_dropout.callbacks.bernoulli_gradient import BernoulliGradient
from adaptive_dropout.callbacks.losses import loss_in
from adaptive_dropout.callbacks.packages import Callback, callbacks_of
from adaptive_dropout.callbacks.repeated.draws import Draws
from adaptive_dropout.callbacks.repeated.held import take_down
from adaptive_dropout.callbacks.repeated.silenced import Answers, silenced
from adaptive_dropout.contexts import eager, replaced
from adaptive_dropout.layouts import deep_copy

__all__ = ["RepeatedStep", "Runs"]

Run = Callable[[], Any]
"""Runs the step once and returns what it returned."""


class RepeatedStep(Callback, ABC):
    """A callback that runs each ``training_step`` again on the same batch, with other dropout masks.

    The first run is the step as it would be without the callback: it logs, feeds metrics, and what it does to the
    batch, to the module and to the generators of random numbers is what remains. A repetition starts where the first
    run started, with a copy of the batch; it draws other numbers inside the network only (`repeated.draws`), logs
    nothing and writes nothing, and what it does to the module is undone (`repeated.held`). What it does to objects of
    other libraries is not. Where a repetition fails, that is said once, and from then on steps run once.

    The loss that the step returns keeps its value; its gradient becomes that of the loss of all runs.

    Raises:
        ValueError: at the start of ``fit``: the model optimizes manually, or another callback repeats its step too.
    """

    def __init__(self) -> None:
        self._open = ExitStack()
        self._said: set[str] = set()
        self._failed = False

    @abstractmethod
    def _repeat(self, first: Run, again: Run, pl_module: L.LightningModule) -> Any:
        """Call ``first`` once and ``again`` as often as needed; return what ``first`` returned, with another loss."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Repeat each step from here on."""
        self._check(trainer, pl_module)
        self._failed = False
        step = pl_module.training_step

        @functools.wraps(step)
        def training_step(*args: Any, **kwargs: Any) -> Any:
            return self._run(trainer, pl_module, step, args, kwargs)

        if "dataloader_iter" in inspect.signature(step).parameters:
            self._say(f"training_step of {type(pl_module).__name__} takes its batches by itself, and runs once")
        else:
            self._open.enter_context(replaced(pl_module, training_step=training_step))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Give the module its own step back."""
        self._open.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Give the module its own step back."""
        self._open.close()

    def _shared(self, pl_module: L.LightningModule) -> torch.nn.Module | None:
        """Return the submodule that runs once."""
        return None

    def _check(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        name = type(self).__name__
        repeating = [type(other).__name__ for other in callbacks_of(trainer, RepeatedStep, BernoulliGradient)]
        if len(repeating) > 1:
            raise ValueError(f"{repeating} each repeat the training step; keep one of them")
        if not pl_module.automatic_optimization:
            raise ValueError(
                f"{type(pl_module).__name__} optimizes manually, and repeating its training_step would step twice; "
                f"call the network several times in it, and take the losses together, instead of {name}"
            )
        self._shared(pl_module)

    def _run(
        self, trainer: L.Trainer, pl_module: L.LightningModule, step: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        if self._failed:
            return step(*args, **kwargs)
        with _uncompiled(pl_module, self._say):
            runs = Runs(trainer, pl_module, self._shared(pl_module), functools.partial(step, *args, **kwargs))
            try:
                return self._repeat(runs.first, runs.again, pl_module)
            except _FailedError as failed:
                self._failed = True
                self._say(
                    f"{type(self).__name__} cannot repeat training_step of {type(pl_module).__name__}, which runs once "
                    f"from now on: {failed.__cause__!r}"
                )
                return runs.output

    def _say(self, line: str) -> None:
        """Warn once."""
        if line not in self._said:
            self._said.add(line)
            rank_zero_warn(line)


class Runs:
    """The runs of one step, the first of which was, in the end, the only one that the module and the generators saw.

    Args:
        trainer: of the run.
        pl_module: whose step it is.
        shared: a submodule that runs once.
        step: takes no arguments, but holds them.
    """

    def __init__(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        shared: torch.nn.Module | None,
        step: functools.partial[Any],
    ) -> None:
        self._trainer, self._module, self._step = trainer, pl_module, step
        self._draws, self._answers = Draws(pl_module, shared), Answers(pl_module)
        self._repetitions = 0
        self._given = self._copy()
        self.output: Any = None

    def first(self) -> Any:
        """Run the step as ever."""
        self._before = take_down(self._module), self._draws.generators.take()
        with self._draws.following(), self._answers.noted():
            self.output = self._step()
        self._after = take_down(self._module), self._draws.generators.take()
        return self.output

    def again(self) -> Any:
        """Run it from the same start with other masks, and return what it returns.

        Raises:
            _FailedError: from whatever the step raised, or did that cannot be undone.
        """
        step, self._repetitions = self._given, self._repetitions + 1
        self._given = self._copy()
        try:
            for put_back in self._before:
                put_back()
            quiet, answers = silenced(self._trainer, self._module), self._answers.given_again()
            with quiet, answers, self._draws.following(self._repetitions):
                return step()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise _FailedError from error
        finally:
            for put_back in self._after:
                put_back()

    def _copy(self) -> functools.partial[Any]:
        """Return the step with a copy of its batch, which the next run may change."""
        try:
            args, kwargs = deep_copy((self._step.args, self._step.keywords))
        except Exception:  # a batch that cannot be copied: whatever its parts raise
            return self._step
        return functools.partial(self._step.func, *args, **kwargs)


class _FailedError(Exception):
    """A step could not be repeated."""


@contextmanager
def _uncompiled(pl_module: L.LightningModule, say: Callable[[str], None]) -> Iterator[None]:
    """Run a compiled LightningModule as Python code, which can be followed; networks that it compiled stay compiled."""
    if getattr(pl_module, "_compiler_ctx", None) is None:
        yield
        return
    say("a compiled LightningModule runs uncompiled where its steps are repeated; compile the network in it instead")
    with eager():
        yield


def with_gradient_of(output: Any, total: Tensor) -> Any:
    """Return what a step returned, with the value of its loss and the gradient of ``total``."""
    loss = loss_in(output)
    assert loss is not None
    extra = total - loss
    loss = loss + (extra - extra.detach()).to(loss.dtype).reshape(loss.shape)
    return {**output, "loss": loss} if isinstance(output, Mapping) else loss
