"""Operations on all samples at once that `torch.vmap` has no rule for, or a slow one: they join the batch.

Inside ``vmap`` a tensor stands for one sample; a rule sees those of all samples, stacked along the first dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_batchedtensor
from torch.autograd import Function
from torch.nn import functional as F

from adaptive_dropout import functional as ours
from adaptive_dropout.inference.switch import FUNCTIONAL

__all__ = ["ATTENTION", "NOISES", "RECURRENT", "Noise", "apart", "over_samples", "recurrent", "together"]

Noise = Callable[[Tensor], Tensor]
"""Adds noise to a batch, (rows, ...), independent between rows."""

NOISES = {theirs: getattr(ours, theirs.__name__) for theirs in FUNCTIONAL}
ATTENTION = (F.multi_head_attention_forward, F.scaled_dot_product_attention)
RECURRENT = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)


def over_samples(work: Callable[..., Any], sample: Tensor, *tensors: Tensor) -> Any:
    """Return ``work(*tensors)``, where work is given those of all samples, each (samples, ...), and returns the same.

    ``sample`` is a tensor that differs between samples: so the result is one for each, even if no argument is.
    """
    return _OverSamples.apply(work, sample, *tensors)


def apart(noise: Noise, x: Tensor) -> Tensor:
    """Return ``x``, (samples, rows, ...), with noise of its own on each row of each sample."""
    return noise(x.flatten(0, 1)).reshape(x.shape) if x.dim() > 1 else noise(x)


def together(rows: int) -> Callable[[Noise, Tensor], Tensor]:
    """Return a function like `apart` whose noise is the same on each of the ``rows`` examples of a sample.

    Raises:
        ValueError: when called with another number of rows: their examples are not along the first dimension.
    """

    def noisy(noise: Noise, x: Tensor) -> Tensor:
        if x.dim() < 2 or x.shape[1] != rows:
            raise ValueError(
                f"consistent masks need (batch, ...) with batch {rows} at each dropout, but got {tuple(x.shape[1:])}; "
                "use mc_samples"
            )
        # Every noise is x times a factor plus a shift; drawn from one state, 0 shows the shift and 1 their sum.
        ones = torch.ones_like(x[:, 0])
        devices = [x.device.index or 0] if x.is_cuda else []
        with torch.random.fork_rng(devices):
            shift = noise(torch.zeros_like(ones))
        factor = noise(ones) - shift
        return torch.addcmul(shift.unsqueeze(1), x, factor.unsqueeze(1))

    return noisy


def recurrent(func: Callable[..., Any], sample: Tensor, args: tuple[Any, ...]) -> Any:
    """Return what a recurrent layer of torch makes of its arguments for each sample: these are a larger batch.

    Raises:
        NotImplementedError: for packed sequences, and for weights that differ between samples.
    """
    x, states, weights, *settings = args
    if len(settings) != 6 or any(map(is_batchedtensor, weights)):
        raise NotImplementedError("packed sequences, or weights of each sample")
    batch = 0 if settings[-1] else 1
    several = isinstance(states, (tuple, list))

    def work(x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        samples = len(x)
        hidden = [_joined(state, 1) for state in states]
        outputs = func(_joined(x, batch), tuple(hidden) if several else hidden[0], weights, *settings)
        return (_parted(outputs[0], batch, samples), *(_parted(output, 1, samples) for output in outputs[1:]))

    return over_samples(work, sample, x, *(states if several else [states]))


def _joined(x: Tensor, batch: int) -> Tensor:
    """Return (samples, ...) as a batch of all samples, along dimension ``batch`` of one sample."""
    return x.movedim(0, batch).flatten(batch, batch + 1)


def _parted(x: Tensor, batch: int, samples: int) -> Tensor:
    return x.reshape(*x.shape[:batch], samples, -1, *x.shape[batch + 1 :]).movedim(batch, 0)


class _OverSamples(Function):
    @staticmethod
    def forward(work: Callable[..., Any], sample: Tensor, *tensors: Tensor) -> Any:
        raise NotImplementedError("only inside torch.vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None: ...

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], work: Any, sample: Tensor, *tensors: Tensor) -> Any:
        stacked = [
            x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
            for x, dim in zip(tensors, in_dims[2:], strict=True)
        ]
        out = work(*stacked)
        return out, (0,) * len(out) if isinstance(out, tuple) else 0
