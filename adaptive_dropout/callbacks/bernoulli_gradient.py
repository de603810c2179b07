"""`BernoulliGradient`: runs each training step a second time, so that the p of true masks gets its gradient."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from adaptive_dropout.callbacks.losses import loss_in
from adaptive_dropout.callbacks.packages import Callback
from adaptive_dropout.contexts import replaced
from adaptive_dropout.estimators import DisARM, Estimator
from adaptive_dropout.estimators.antithetic import estimating, run_antithetic

__all__ = ["BernoulliGradient"]


class BernoulliGradient(Callback):
    """Gives every learned `BernoulliDropout` an unbiased gradient, for the cost of one more forward pass a step.

    Before each ``training_step`` the same step runs once more, with the antithetic mask of each learned mask: without
    gradient, it logs nothing, updates no metric and leaves the random generators as they were. The loss that the step
    then returns has the same value as before and contains the gradient of the masks, so that accumulation, scaling,
    clipping and averaging over processes apply to it.

    A ``training_step`` that returns ``{"loss": loss, "example_losses": losses}``, losses (batch,) of a model without
    BatchNorm, gets an estimate for each example: for a batch of 64, with about 1/64 of the variance. A step that
    changes something of its own, such as a counter, changes it twice.

    Args:
        estimator: `DisARM` or `ARM`.

    Raises:
        ValueError: at the start of ``fit``: the model has no such layer, or optimizes manually; during it: the step
            returns no loss.
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
        self._open.enter_context(estimating(pl_module))
        step = pl_module.training_step

        @functools.wraps(step)
        def training_step(*args: Any, **kwargs: Any) -> Any:
            return self._run_twice(pl_module, functools.partial(step, *args, **kwargs))

        self._open.enter_context(replaced(pl_module, training_step=training_step))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Give the module its own step back."""
        self._open.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Give the module its own step back."""
        self._open.close()

    def _run_twice(self, pl_module: L.LightningModule, step: functools.partial[Any]) -> Any:
        def run_aside() -> Tensor:
            with isolate_rng(), _silenced(pl_module):
                return _compared(step())

        antithetic = run_antithetic(pl_module, run_aside, self.estimator.weight)
        output = step()
        term = antithetic.term(_compared(output))
        return {**output, "loss": output["loss"] + term} if isinstance(output, Mapping) else output + term


@contextmanager
def _silenced(pl_module: L.LightningModule) -> Iterator[None]:
    """Temporarily let ``pl_module`` log nothing and its metrics take in nothing."""
    # Muted, not restored: metrics in a collection share their state, and an update with other data would undo that.
    with ExitStack() as stack:
        stack.enter_context(replaced(pl_module, log=_do_nothing, log_dict=_do_nothing))
        for module in pl_module.modules():
            if isinstance(module, (Metric, MetricCollection)):
                stack.enter_context(replaced(module, update=_do_nothing, forward=_do_nothing))
        yield


def _compared(output: Any) -> Tensor:
    """Return what the two masks are compared by: the losses of the examples if given, else the loss."""
    loss = loss_in(output)
    if loss is None:
        raise ValueError(
            f"training_step has to return its loss, a tensor, to be compared with another, but returned {output!r}"
        )
    losses = output.get("example_losses", loss) if isinstance(output, Mapping) else loss
    assert isinstance(losses, Tensor)
    return losses


def _do_nothing(*_: Any, **__: Any) -> None: ...
