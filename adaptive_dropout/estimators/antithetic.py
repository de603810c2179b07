"""The antithetic forward pass: every learned mask is replaced by its antithetic mask, and all else stays the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from adaptive_dropout.contexts import eager, replaced, unchanged
from adaptive_dropout.functional.antithetic import AntitheticPair, draw_pair
from adaptive_dropout.modules import BernoulliDropout
from adaptive_dropout.rates import LearnedRate

__all__ = ["AntitheticPass", "estimating", "find_learned_masks", "run_antithetic"]

Weight = Callable[[AntitheticPair], Tensor]


class AntitheticPass(NamedTuple):
    """The results of an antithetic forward pass.

    Args:
        losses: 0-dim or (batch,).
        weights: for each mask drawn, the logit of its p, and the weights, summed over the entries that share both
            logit and example.
    """

    losses: Tensor
    weights: list[tuple[Tensor, Tensor]]

    def term(self, losses: Tensor) -> Tensor:
        """Return 0, whose gradient by the logits is the estimate of what the masks contribute; 0-dim.

        Args:
            losses: those of the ordinary forward pass, in the same shape.

        Raises:
            ValueError: they have another shape, or their number is not that of a layer's examples.
        """
        if losses.shape != self.losses.shape:
            raise ValueError(f"loss_fn returned shape {tuple(self.losses.shape)}, then {tuple(losses.shape)}")
        differences = (losses.detach().float() - self.losses.float()) / max(losses.numel(), 1)
        products = [(_estimate(differences, weight, logit) * logit).sum() for logit, weight in self.weights]
        total = torch.stack([product.to(losses.device) for product in products]).sum()
        return (total - total.detach()).to(losses.dtype)


def run_antithetic(model: nn.Module, loss_fn: Callable[[], Tensor], weight: Weight) -> AntitheticPass:
    """Run ``loss_fn`` with antithetic masks and without gradient, then undo everything but what it returns.

    Call it before the ordinary forward pass, which then draws the same numbers. What ``loss_fn`` draws from other
    generators than torch's, or changes outside the buffers of the model, is not undone.

    Raises:
        ValueError: the model has no learned mask, or BatchNorm mixes the examples of several losses.
    """
    layers = find_learned_masks(model)
    weights: list[tuple[Tensor, Tensor]] = []
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(eager())
        stack.enter_context(unchanged(model))
        for layer, rate in layers:
            stack.enter_context(replaced(layer, noise=partial(_draw_antithetic, rate.logit, weight, weights)))
        losses = loss_fn().detach()
    torch.clear_autocast_cache()  # torch 2.8 keeps weights cast without gradient for the ordinary forward pass too
    mixing = [path for path, m in model.named_modules() if isinstance(m, _BatchNorm) and m.training]
    if losses.dim() and mixing:
        raise ValueError(
            f"BatchNorm {mixing[0]!r} mixes the examples, so their losses, of shape {tuple(losses.shape)}, cannot be "
            "told apart; return their mean"
        )
    return AntitheticPass(losses, weights)


@contextmanager
def estimating(model: nn.Module) -> Iterator[None]:
    """Let gradients reach the learned rates from a forward pass run inside.

    They lack the part of the masks, which `AntitheticPass.term` adds.
    """
    with ExitStack() as stack:
        for layer, _ in find_learned_masks(model):
            stack.enter_context(replaced(layer, estimated=True))
        yield


def find_learned_masks(model: nn.Module) -> list[tuple[BernoulliDropout, LearnedRate]]:
    """Return the layers of ``model`` with a learned mask, and their rates.

    Raises:
        ValueError: there are none in training mode.
    """
    layers = [m for m in model.modules() if isinstance(m, BernoulliDropout) and m.training]
    found = [(layer, layer.rate) for layer in layers if isinstance(layer.rate, LearnedRate)]
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no BernoulliDropout with a learned p in training mode; "
            "give it BernoulliDropout(0.1), or call model.train()"
        )
    return found


def _draw_antithetic(
    logit: Tensor, weight: Weight, weights: list[tuple[Tensor, Tensor]], x: Tensor, p: Tensor
) -> Tensor:
    """Return ``x`` under its antithetic mask, and add the weights of this mask to ``weights``."""
    pair = draw_pair(x, p)
    sizes = [1] * (x.dim() - logit.dim()) + list(logit.shape)
    weights.append((logit, weight(pair).sum_to_size(x.shape[:1] + tuple(sizes[1:]))))
    return (x * pair.antithetic() / pair.q).to(x.dtype)


def _estimate(differences: Tensor, weight: Tensor, logit: Tensor) -> Tensor:
    """Return the estimate of the gradient by the ``logit``, in its shape."""
    if differences.dim() and len(differences) != len(weight):
        raise ValueError(
            f"loss_fn returned {len(differences)} losses, but a BernoulliDropout had {len(weight)} examples; "
            "return the mean of the losses, or put the examples first"
        )
    each = differences.to(weight.device).reshape(-1, *[1] * (weight.dim() - 1)) if differences.dim() else differences
    return (each * weight).sum_to_size(logit.shape).to(logit.dtype)
