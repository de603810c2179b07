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
    """Temporarily turn dropout on in ``model`` and put everything else into eval mode, for Monte Carlo dropout.

    Dropout is on in layers of torch and of this library, in recurrent and attention layers with a rate, in modules that
    hold a number named after dropout, and in calls of `torch.nn.functional.dropout` and its relatives, whatever their
    ``training``. BatchNorm and everything else is in eval mode. Torch's fused path of transformer layers, which has no
    dropout, is off. Afterwards every module is back in its own mode.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).eval()
    >>> with mc_dropout(model):
    ...     model[0].training, model[1].training
    (False, True)

    Args:
        model: call it inside as often as you like; `mc_samples` draws many samples in less time.

    Raises:
        TypeError: the model is compiled or scripted.
        ValueError: the model has no dropout layer and, as is known at the end, called no functional dropout.

    Source: Gal and Ghahramani (2016).
    """
    check_eager(model)
    with noise_on(model) as calls:
        yield
    if not calls.seen and not droppers(model):
        raise ValueError(no_dropout(model))


@contextmanager
def noise_on(model: nn.Module) -> Iterator[_FunctionalOn]:
    """Temporarily put what drops in ``model`` into training mode and the rest into eval mode."""
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
    """Return the modules whose training mode decides whether they drop."""
    return [module for module in model.modules() if _drops(module)]


def no_dropout(model: nn.Module) -> str:
    """Return the error message for a ``model`` in which nothing drops."""
    return (
        f"{type(model).__name__} has no dropout layer and called no functional dropout; put adaptive_dropout.Dropout "
        "where it should be uncertain"
    )


def check_eager(model: nn.Module) -> None:
    """Raise a TypeError if ``model`` is compiled or scripted, as a whole or in part."""
    for module in model.modules():
        if is_scripted(module):
            raise TypeError(
                f"{type(model).__name__} is scripted, which fixed whether its dropout is on; "
                "give the model that torch.jit made it from"
            )
        if is_compiled(module):
            raise TypeError(
                f"{type(model).__name__} is compiled, and would compile anew with dropout on; "
                "give the model that torch.compile was given"
            )


class _FunctionalOn(TorchFunctionMode):
    """Makes calls of functional dropout drop, whatever their ``training`` says; ``seen`` counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in FUNCTIONAL:
            self.seen += 1
            return _drop(func, *args, **kwargs)
        return func(*args, **kwargs)


def _drop(func: Callable[..., Any], input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    return func(input, p, True, inplace)


def _drops(module: nn.Module) -> bool:
    # By names. `conversion` reads from the code which numbers are rates, but not for which function: training mode for
    # the sake of F.dropout, which needs none, would also turn on the batch normalisation of such a module.
    if isinstance(module, _NormBase):
        return False
    if isinstance(module, _DropoutNd) or any(isinstance(child, Rate) for child in module.children()):
        return True  # torch's layers, ours, and what `convert` gave a rate
    # Attention in training mode hands the p of its dropout layer to a fused function, as a number.
    kind = type(module).__name__.lower()
    if "attention" in kind and any(isinstance(child, (NoiseLayer, _DropoutNd)) for child in module.children()):
        return True
    named = "drop" in kind or "stochasticdepth" in kind
    return any(
        isinstance(value, float) and 0 < value <= 1 and ("drop" in name or (named and name == "p"))
        for name, value in vars(module).items()
    )
