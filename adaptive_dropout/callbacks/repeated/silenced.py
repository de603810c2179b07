"""A repetition of a step is not heard: it logs nothing, counts nothing, and writes nowhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import lightning.pytorch as L
from torch import nn
from torchmetrics import Metric, MetricCollection

from adaptive_dropout.callbacks.isolated.guard import without_side_effects
from adaptive_dropout.callbacks.isolated.silent_trainer import silent_loggers
from adaptive_dropout.callbacks.packages import both
from adaptive_dropout.contexts import replaced

__all__ = ["Answers", "silenced"]


class Answers:
    """What the metrics of a module answer in the first run; in a repetition they answer the same, and take in nothing.

    A step may go on to compute with the answer.
    """

    def __init__(self, module: nn.Module) -> None:
        self._metrics = [part for part in module.modules() if isinstance(part, (Metric, MetricCollection))]
        self._given: defaultdict[tuple[int, str], list[Any]] = defaultdict(list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the answers of the first run."""
        with ExitStack() as stack:
            for number, metric in enumerate(self._metrics):
                noting = {name: self._note(number, name, getattr(metric, name)) for name in ("forward", "compute")}
                stack.enter_context(replaced(metric, **noting))
            yield

    @contextmanager
    def given_again(self) -> Iterator[None]:
        """Give them again, each in its turn."""
        with ExitStack() as stack:
            for number, metric in enumerate(self._metrics):
                again = {name: _in_turn(self._given[number, name]) for name in ("forward", "compute")}
                stack.enter_context(replaced(metric, update=_do_nothing, reset=_do_nothing, **again))
            yield

    def _note(self, number: int, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*args: Any, **kwargs: Any) -> Any:
            answer = call(*args, **kwargs)
            self._given[number, name].append(answer)
            return answer

        return noting


@contextmanager
def silenced(trainer: L.Trainer, pl_module: L.LightningModule) -> Iterator[None]:
    """Temporarily let ``pl_module`` log nothing, nowhere, and write no files.

    Raises:
        SideEffectError: by a step that writes to a file or opens a connection.
    """
    with ExitStack() as stack:
        for part in pl_module.modules():
            if isinstance(part, both(L.LightningModule)):
                stack.enter_context(replaced(part, log=_do_nothing, log_dict=_do_nothing))
        stack.enter_context(replaced(trainer, _loggers=silent_loggers(trainer)))
        stack.enter_context(without_side_effects())
        yield


def _in_turn(answers: list[Any]) -> Callable[..., Any]:
    left = iter(answers)
    return lambda *_, **__: next(left, None)


def _do_nothing(*_: Any, **__: Any) -> None: ...
