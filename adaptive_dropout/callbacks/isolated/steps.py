"""Single steps of a user's module with a gradient, on a copy of it: nothing of the run is touched."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor, nn

from adaptive_dropout.callbacks.isolated.guard import fixed_seed, without_side_effects
from adaptive_dropout.callbacks.isolated.silent_trainer import free, silent_trainer
from adaptive_dropout.callbacks.losses import loss_in
from adaptive_dropout.contexts import evaluating
from adaptive_dropout.layouts import deep_copy

__all__ = ["IsolatedSteps", "check_differentiable", "isolated_steps"]


class IsolatedSteps:
    """The steps of a copy of the module of a run, with optimizers of the copied weights and their moments.

    Args:
        trainer: a silent one, whose module is the copy.
        monitor: the metric that ``validation_step`` logs as the loss.
    """

    def __init__(self, trainer: L.Trainer, monitor: str) -> None:
        self._trainer = trainer
        self._monitor = monitor
        self.module: L.LightningModule = trainer.lightning_module
        self.optimizers = trainer.optimizers

    def training_loss(self, batch: Any) -> Tensor:
        """Return the loss of ``training_step``, with dropout on.

        Raises:
            ValueError: it returns none.
        """
        self._log_to([])
        with self._trainer.precision_plugin.train_step_context():
            output = _call(self.module.training_step, deep_copy(batch))
        loss = loss_in(output)
        if loss is None:
            raise ValueError(
                f"training_step has to return its loss, a tensor, to be differentiated, but returned {output!r}"
            )
        return loss

    def validation_loss(self, batch: Any) -> Tensor:
        """Return what ``validation_step`` logs as the monitor, or else the loss that it returns, with dropout off.

        Raises:
            ValueError: it does neither.
        """
        heard: list[Tensor] = []
        self._log_to(heard)
        with evaluating(self.module), self._trainer.precision_plugin.val_step_context():
            output = _call(self.module.validation_step, deep_copy(batch))
        returned = loss_in(output)
        heard += [] if returned is None else [returned]
        if not heard:
            raise ValueError(
                f"validation_step has to log {self._monitor!r} itself, as in self.log({self._monitor!r}, loss), or to "
                "return the loss, to be differentiated"
            )
        return heard[0]

    def _log_to(self, heard: list[Tensor]) -> None:
        monitor = self._monitor

        def log(name: str, value: Any, *_: Any, **__: Any) -> None:
            if name == monitor and isinstance(value, Tensor):
                heard.append(value)

        def log_dict(dictionary: Any, *_: Any, **__: Any) -> None:
            for name, value in {} if isinstance(dictionary, nn.Module) else dictionary.items():
                log(name, value)

        vars(self.module).update(log=log, log_dict=log_dict)


@contextmanager
def isolated_steps(trainer: L.Trainer, pl_module: L.LightningModule, monitor: str) -> Iterator[IsolatedSteps]:
    """Yield the steps of a copy of ``pl_module``; then put the generators back.

    Raises:
        Exception: whatever the user's code raises.
    """
    with fixed_seed(), without_side_effects():
        ours = silent_trainer(trainer, pl_module, moments=True)
        try:
            yield IsolatedSteps(ours, monitor)
        finally:
            free(ours)


def check_differentiable(trainer: L.Trainer, pl_module: L.LightningModule, signal: str) -> None:
    """Raise a ValueError unless ``signal`` can be measured with the steps of ``pl_module`` in this run."""
    if not pl_module.automatic_optimization:
        raise ValueError(
            f"the {signal} needs a training_step that returns one loss, but {type(pl_module).__name__} optimizes "
            "manually; use automatic optimization, or a rule such as RewindController()"
        )
    if trainer.precision in ("16-mixed", "16-true"):
        raise ValueError(
            f"the {signal} is too small for precision {trainer.precision!r}; use 'bf16-mixed' or '32-true'"
        )


def _call(step: Callable[..., Any], batch: Any) -> Any:
    """Call ``step`` as Lightning does, which goes by the place of an argument and not by its name."""
    needed = [p for p in inspect.signature(step).parameters.values() if p.default is p.empty]
    takes_index = is_param_in_hook_signature(step, "batch_idx", min_args=2)
    takes_loader = takes_index and len([p for p in needed if p.kind is p.POSITIONAL_OR_KEYWORD]) > 2
    return step(batch, *[0] * (takes_index + takes_loader))
