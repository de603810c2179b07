"""`mc_dropout`: dropout on, everything else as in eval mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from adaptive_dropout.contexts import is_compiled, is_scripted
from adaptive_dropout.modules import NoiseLayer
from adaptive_dropout.rates import Rate

__all__ = ["FUNCTIONAL", "check_eager", "droppers", "mc_dropout", "no_dropout", "noise_on"]

FUNCTIONAL: tuple[Callable[..., Tensor], ...] = (
    F.dropout,
    F.dropout1d,
    F.dropout2d,
    F.dropout3d,
    F.alpha_dropout,
    F.feature_alpha_dropout,
)
"""Torch's functions; all take input, p, training and inplace, in this order."""


@contextmanager
def mc_dropout(model: nn.Module) -> Iterator[None]:
    """Leave dropout on for a while in a ``model`` that is otherwise in eval mode, as Monte Carlo dropout needs.

    On are layers of torch and of this library, the rates of recurrent and attention layers, modules that hold a number
    named after dropout, and calls of `torch.nn.functional.dropout` and its relatives whatever their ``training``.
    BatchNorm and all else is in eval mode, and torch's fused path of transformer layers, which has no dropout, is off.
    Every module is back in its own mode afterwards.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).eval()
    >>> with mc_dropout(model):
    ...     model[0].training, model[1].training
    (False, True)

    Args:
        model: is called inside as often as wanted; `mc_samples` draws many samples in less time.

    Raises:
        TypeError: the model is compiled or scripted.
        ValueError: the model has no dropout layer and, seen at the end, called no functional dropout.

    Source: Gal and Ghahramani (2016).
    """
    check_eager(model)
    with noise_on(model) as calls:
        yield
    if not calls.seen and not droppers(model):
        raise ValueError(no_dropout(model))


@contextmanager
def noise_on(model: nn.Module) -> Iterator[_FunctionalOn]:
    """Put what drops in ``model`` into training mode and the rest into eval mode, for a while."""
    before = {module: module.training for module in model.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    model.eval()
    for module in droppers(model):
        module.training = True  # its own flag: train() would reach a BatchNorm below
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with _FunctionalOn() as calls:
            yield calls
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, training in before.items():
            module.training = training


def droppers(model: nn.Module) -> list[nn.Module]:
    """Return the modules whose training mode decides over dropout."""
    return [module for module in model.modules() if _drops(module)]


def no_dropout(model: nn.Module) -> str:
    """Return the message about a ``model`` in which nothing drops."""
    return (
        f"{type(model).__name__} has no dropout layer and called no functional dropout; put adaptive_dropout.Dropout "
        "where it should be uncertain"
    )


def check_eager(model: nn.Module) -> None:
    """Raise a TypeError where Python does not run the forward pass of ``model``."""
    for module in model.modules():
        if is_scripted(module):
            raise TypeError(
                f"{type(model).__name__} is scripted, and has dropout on or off as it was then; "
                "give the model that torch.jit made it from"
            )
        if is_compiled(module):
            raise TypeError(
                f"{type(model).__name__} is compiled, and would compile anew with dropout on; "
                "give the model that torch.compile was given"
            )


class _FunctionalOn(TorchFunctionMode):
    """Calls of functional dropout drop, whatever their ``training`` says; ``seen`` counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in FUNCTIONAL:
            self.seen += 1
            return _dropped(func, *args, **kwargs)
        return func(*args, **kwargs)


def _dropped(
    func: Callable[..., Any], input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Any:
    return func(input, p, True, inplace)


def _drops(module: nn.Module) -> bool:
    if isinstance(module, _NormBase):
        return False
    if isinstance(module, _DropoutNd) or isinstance(module._modules.get("rate"), Rate):  # torch's layers, and ours
        return True
    # Attention hands the p of its layer to a fused function as a number, if it is in training mode itself.
    kind = type(module).__name__.lower()
    if "attention" in kind and any(isinstance(child, (NoiseLayer, _DropoutNd)) for child in module.children()):
        return True
    named = "drop" in kind or "stochasticdepth" in kind
    return any(
        isinstance(value, float) and 0 < value <= 1 and ("drop" in name or (named and name == "p"))
        for name, value in vars(module).items()
    )
