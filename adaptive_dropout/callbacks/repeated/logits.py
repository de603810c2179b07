"""What a step predicts: the logits that it gives to torch's losses, or the output of a submodule."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adaptive_dropout.contexts import replaced
from adaptive_dropout.functional import symmetric_bernoulli_kl, symmetric_kl

__all__ = ["Divergence", "Prediction", "heard_losses", "heard_output"]

Divergence = Callable[[Tensor, Tensor], Tensor]
"""How far apart the predictions of two passes are, from their logits; 0-dim."""


class Prediction(NamedTuple):
    """One prediction of a step.

    Args:
        logits: with their graph.
        loss: the name of the loss that took them; "" if a submodule gave them.
        mask: where they count; None if everywhere.
    """

    logits: Tensor
    loss: str = ""
    mask: Tensor | None = None

    def divergence(self, other: Prediction) -> Tensor:
        """Return how far ``other``, the same prediction of another pass, is from it, in the terms of their loss."""
        first, second = self.logits, other.logits
        if self.loss == "mse_loss":
            return (first.float() - second.float()).square().mean()
        if self.loss == "binary_cross_entropy_with_logits":
            return symmetric_bernoulli_kl(first, second)
        if not self.loss:
            return symmetric_kl(first, second)
        return symmetric_kl(first, second, self.mask, dim=min(first.dim() - 1, 1))


LOSSES = {
    name: getattr(F, name) for name in ("cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "mse_loss")
}
# Not one for each step: compiled code that calls a loss would be compiled anew for each function.
_heard: list[tuple[str, tuple[Any, ...], dict[str, Any]]] | None = None


def _listening(name: str) -> Callable[..., Any]:
    loss = LOSSES[name]

    @functools.wraps(loss)
    def heard(*args: Any, **kwargs: Any) -> Any:
        if _heard is not None and torch.is_grad_enabled():
            _heard.append((name, args, kwargs))
        return loss(*args, **kwargs)

    return heard


LISTENING = {name: _listening(name) for name in LOSSES}


@contextmanager
def heard_losses() -> Iterator[list[Prediction]]:
    """Fill a list with what is given to torch's losses inside, at the end of the block."""
    global _heard
    found: list[Prediction] = []
    before, _heard = _heard, []
    try:
        with replaced(F, **LISTENING):
            yield found
        found.extend(made for each in _heard if (made := _prediction(*each)) is not None)
    finally:
        _heard = before


@contextmanager
def heard_output(module: nn.Module) -> Iterator[list[Prediction]]:
    """Fill a list with the outputs of ``module``, or with the ``logits`` in them."""
    found: list[Prediction] = []

    def hear(_: nn.Module, __: Any, output: Any) -> None:
        logits = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", output)
        if isinstance(logits, Tensor) and logits.requires_grad:
            found.append(Prediction(logits))

    handle = module.register_forward_hook(hear)
    try:
        yield found
    finally:
        handle.remove()


def _prediction(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Prediction | None:
    given = inspect.signature(LOSSES[name]).bind(*args, **kwargs)
    given.apply_defaults()
    logits, target = given.arguments["input"], given.arguments["target"]
    if not isinstance(logits, Tensor) or not logits.requires_grad:
        return None
    ignored = given.arguments.get("ignore_index")
    of_classes = ignored is not None and not target.is_floating_point()
    return Prediction(logits, name, target != ignored if of_classes else None)
