"""`BernoulliGradient`: runs each training step a second time, so that the p of true masks gets its gradient."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from adaptive_dropout.callbacks.both import Callback
from adaptive_dropout.callbacks.losses import loss_in
from adaptive_dropout.callbacks.quiet import quiet
from adaptive_dropout.estimators import DisARM, Estimator
from adaptive_dropout.estimators.twin import paired, run_twin

__all__ = ["BernoulliGradient"]


class BernoulliGradient(Callback):
    """Gives every learned `BernoulliDropout` an unbiased gradient, for the cost of one more forward pass a step.

    Before each ``training_step`` the same step runs aside: without gradient, log, metrics or a trace in the random
    numbers, and with the twin of each learned mask. The loss that the step then returns has the same value as before
    and the gradient of the masks in it, so that accumulation, scaling, clipping and averaging over processes apply.

    A ``training_step`` that returns ``{"loss": loss, "example_losses": losses}``, losses (batch,) of a model without
    BatchNorm, is estimated example by example: for a batch of 64, with about 1/64 of the variance. What the step
    changes in itself, such as a counter of its own, it changes twice.

    Args:
        estimator: `DisARM` or `ARM`.

    Raises:
        ValueError: at the start of ``fit``: the model has no such layer, or optimizes manually; in it: the step returns
            no loss.
    """

    def __init__(self, estimator: Estimator = DisARM()) -> None:  # noqa: B008  # frozen
        self.estimator = estimator
        self._open = ExitStack()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Run each step twice from here on."""
        if not pl_module.automatic_optimization:
            raise ValueError(
                f"{type(pl_module).__name__} optimizes manually, and running its training_step twice would step twice; "
                f"call manual_backward on {self.estimator!r}.loss(self, loss_fn) in it"
            )
        self._open.enter_context(paired(pl_module))
        step = pl_module.training_step

        @functools.wraps(step)
        def training_step(*args: Any, **kwargs: Any) -> Any:
            return self._twice(pl_module, functools.partial(step, *args, **kwargs))

        before = pl_module.__dict__.get("training_step")
        pl_module.training_step = training_step  # type: ignore[method-assign]
        self._open.callback(_give_back, pl_module, before)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Run each step once again."""
        self._open.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Run each step once again."""
        self._open.close()

    def _twice(self, pl_module: L.LightningModule, step: functools.partial[Any]) -> Any:
        def aside() -> Tensor:
            with isolate_rng(), quiet(pl_module):
                return _judged(step())

        twin = run_twin(pl_module, aside, self.estimator.weight)
        output = step()
        term = twin.term(_judged(output))
        return {**output, "loss": output["loss"] + term} if isinstance(output, Mapping) else output + term


def _judged(output: Any) -> Tensor:
    """Return what tells a mask from its twin: the losses of the examples where the step returns them, else the loss."""
    loss = loss_in(output)
    if loss is None:
        raise ValueError(
            f"training_step has to return its loss, a tensor, to be compared with another, but returned {output!r}"
        )
    losses = output.get("example_losses", loss) if isinstance(output, Mapping) else loss
    assert isinstance(losses, Tensor)
    return losses


def _give_back(pl_module: L.LightningModule, before: Any) -> None:
    del pl_module.training_step
    if before is not None:
        pl_module.training_step = before  # type: ignore[method-assign]
