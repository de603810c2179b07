"""Many forward passes as one: `torch.vmap` over samples, with masks of its own for each.

What comes before the first dropout does not depend on the sample, and vmap computes it once. Each sample is exactly one
full pass, whatever a model does with its batch. Where vmap cannot do it, an error is raised and the caller loops.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from adaptive_dropout import modules
from adaptive_dropout.contexts import replaced
from adaptive_dropout.inference.folding import (
    ATTENTION,
    NOISES,
    RECURRENT,
    Noise,
    RecurrentCall,
    apart,
    differs,
    over_samples,
    recurrent,
)
from adaptive_dropout.inference.prefix import MISSING, Prefix

__all__ = ["Fold", "generators", "passes_at_once"]

Fold = Callable[[Noise, Tensor], Tensor]
"""Adds noise to (samples, rows, ...)."""

OURS = {kind for name in modules.__all__ if issubclass(kind := getattr(modules, name), modules.NoiseLayer)}


def passes_at_once(model: nn.Module, call: Callable[[], Tensor], sizes: list[int], fold: Fold) -> Iterator[Tensor]:
    """Yield the results of ``call()``, a pass of ``model``, in stacks of these ``sizes``.

    Raises:
        Exception: of any kind, where passes cannot be one; if it is the model's own, a loop raises it again.
    """
    prefix = Prefix(recording=len(sizes) > 1)
    for number, size in enumerate(sizes):
        prefix.rewind()
        before = () if number else _other_generators()

        def one(sample: Tensor) -> Tensor:
            sampling = Sampling(sample, prefix, fold)
            with sampling.layers(model), sampling:
                return call()

        drawn = torch.vmap(one, randomness="different")(torch.zeros(size))
        if not number and _other_generators() != before:
            raise NotImplementedError("it draws random numbers of Python or numpy")
        yield drawn


class Sampling(TorchFunctionMode):
    """Sees each call of a torch function in one pass that stands for all samples.

    Args:
        sample: differs between samples.
        prefix: the calls that do not.
        fold: how noise is added; where it is not `apart`, noise that torch draws elsewhere raises.
    """

    def __init__(self, sample: Tensor, prefix: Prefix, fold: Fold) -> None:
        super().__init__()
        self.sample, self.prefix, self.fold = sample, prefix, fold
        self.strict = fold is not apart
        self.overwritten: set[int] = set()

    @contextmanager
    def layers(self, model: nn.Module) -> Iterator[None]:
        """Temporarily let the layers of this library in ``model`` add their noise to all samples."""
        with ExitStack() as stack:
            for module in model.modules():
                if type(module) in OURS and module.training:
                    stack.enter_context(replaced(module, forward=self._forward_of(module)))
            yield

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = self.prefix.look_up(func, args, kwargs)
        if result is not MISSING:
            return result
        leaves = tree_leaves((args, kwargs))
        self._check_overwritten(leaves if self.overwritten else [])
        if func in NOISES:
            return self._drop(NOISES[func], *args, **kwargs)
        # A function that gets a tensor of each sample draws for each sample: its generators need not be compared.
        watched = self.strict or not any(map(differs, leaves))
        before = generators() if watched else []
        result = self._call(func, args, kwargs)
        own = any(map(differs, tree_leaves(result)))
        if watched and (self.strict or not own) and generators() != before:
            self._refuse(func)
        if own:
            self.prefix.end()
        else:
            self.prefix.add(func, args, kwargs, result)
        return result

    def _call(self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        if func in RECURRENT and (any(map(differs, tree_leaves(args))) or RecurrentCall.of(args).drops):
            return recurrent(func, self.sample, args)
        if func in ATTENTION and _attention_drops(func, args, kwargs) and not differs(args[0]):
            # vmap draws no mask for attention that is the same for all samples.
            args = (over_samples(lambda query: query, self.sample, args[0]), *args[1:])
        return func(*args, **kwargs)

    def _drop(
        self,
        noise: Callable[..., Tensor],
        input: Tensor,  # torch's name
        p: float = 0.5,
        training: bool = True,  # ignored: whoever calls it is in eval mode
        inplace: bool = False,
    ) -> Tensor:
        return self._noisy(lambda rows: noise(rows, p), input, inplace)

    def _forward_of(self, layer: Any) -> Callable[[Tensor], Tensor]:
        def forward(input: Tensor) -> Tensor:
            with _unseen():
                inplace = getattr(layer, "inplace", False)
                with replaced(layer, inplace=False):
                    return self._noisy(lambda rows: layer.noise(rows, layer.rate.value), input, inplace)

        return forward

    def _noisy(self, noise: Noise, x: Tensor, inplace: bool) -> Tensor:
        self.prefix.end()
        y: Tensor = over_samples(lambda stacked: self.fold(noise, stacked), self.sample, x)
        if not inplace:
            return y
        if differs(x):
            return x.copy_(y)
        self.overwritten.add(x.untyped_storage().data_ptr())
        return y

    def _check_overwritten(self, leaves: list[Any]) -> None:
        for leaf in leaves:
            if isinstance(leaf, Tensor) and not differs(leaf) and leaf.untyped_storage().data_ptr() in self.overwritten:
                raise NotImplementedError("it reads a tensor that dropout in place has written to")

    def _refuse(self, func: Callable[..., Any]) -> None:
        name = getattr(func, "__name__", repr(func))
        if self.strict:
            raise ValueError(f"{name} draws a mask of its own for each example of a batch; use mc_samples")
        raise NotImplementedError(f"{name} draws the same random numbers for all samples")


def generators() -> list[bytes]:
    """Return the states of torch's generators, to be compared."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states.append(torch.cuda.get_rng_state())
    return [state.numpy().tobytes() for state in states]


def _other_generators() -> tuple[Any, ...]:
    _, words, *rest = np.random.get_state()
    return random.getstate(), np.asarray(words).tobytes(), *rest


def _unseen() -> AbstractContextManager[None]:
    """Return a context in which functions of torch do what they do without a `Sampling`."""
    try:
        context: AbstractContextManager[None] = torch._C.DisableTorchFunction()
    except AttributeError as error:
        raise NotImplementedError(f"torch {torch.__version__} cannot leave a mode for a layer: {error}") from error
    return context


def _attention_drops(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if func is torch.nn.functional.scaled_dot_product_attention:
        return bool(args[4] if len(args) > 4 else kwargs.get("dropout_p", 0.0))
    p = args[10] if len(args) > 10 else kwargs.get("dropout_p", 0.0)
    return bool(p and kwargs.get("training", True))
