"""Operations for which `torch.vmap` has no rule, or a slow one: all samples become one larger batch.

Inside ``vmap`` a tensor stands for one sample; a rule sees the tensors of all samples stacked along dimension 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from adaptive_dropout import functional as ours
from adaptive_dropout.inference.mc_mode import FUNCTIONAL

__all__ = [
    "ATTENTION",
    "NOISES",
    "RECURRENT",
    "Noise",
    "RecurrentCall",
    "apart",
    "differs",
    "over_samples",
    "recurrent",
    "together",
]

Noise = Callable[[Tensor], Tensor]
"""Adds noise to a batch, (rows, ...), independent between rows."""

NOISES = {theirs: getattr(ours, theirs.__name__) for theirs in FUNCTIONAL}
ATTENTION = (F.multi_head_attention_forward, F.scaled_dot_product_attention)
RECURRENT = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)


def differs(value: Any) -> bool:
    """Return whether ``value`` is a tensor that differs between the samples of ``vmap``.

    Raises:
        NotImplementedError: this version of torch does not tell.
    """
    if not isinstance(value, Tensor):
        return False
    try:
        return torch._C._functorch.is_batchedtensor(value)
    except AttributeError as error:
        raise NotImplementedError(
            f"torch {torch.__version__} does not tell which tensors differ between samples: {error}"
        ) from error


def over_samples(work: Callable[..., Any], sample: Tensor, *tensors: Tensor) -> Any:
    """Return ``work(*tensors)``, where ``work`` maps tensors of all samples, (samples, ...), to such tensors.

    ``sample`` is any tensor that differs between samples. It makes the result differ too, even if no argument does.
    """
    return _OverSamples.apply(work, sample, *tensors)


def apart(noise: Noise, x: Tensor) -> Tensor:
    """Return ``x``, (samples, rows, ...), with independent noise on each row of each sample."""
    return noise(x.flatten(0, 1)).reshape(x.shape) if x.dim() > 1 else noise(x)


def together(rows: int) -> Callable[[Noise, Tensor], Tensor]:
    """Return a function like `apart` whose noise is the same on each of the ``rows`` examples of a sample.

    Raises:
        ValueError: it is called with another number of rows, so the examples are not along the first dimension.
    """

    def noisy(noise: Noise, x: Tensor) -> Tensor:
        if x.dim() < 2 or x.shape[1] != rows:
            raise ValueError(
                f"consistent masks need (batch, ...) with batch {rows} at each dropout, but got {tuple(x.shape[1:])}; "
                "use mc_samples"
            )
        # Every noise is x times a factor plus a shift. From one state of the generator, x = 0 gives the shift and x = 1
        # their sum.
        ones = torch.ones_like(x[:, 0])
        devices = [x.device.index or 0] if x.is_cuda else []
        with torch.random.fork_rng(devices):
            shift = noise(torch.zeros_like(ones))
        factor = noise(ones) - shift
        return torch.addcmul(shift.unsqueeze(1), x, factor.unsqueeze(1))

    return noisy


class RecurrentCall(NamedTuple):
    """The arguments of `torch.lstm` and its relatives, which have no names."""

    x: Any
    states: Any
    weights: Any
    biases: bool
    layers: int
    p: float
    training: bool
    both_directions: bool
    batch_first: bool

    @classmethod
    def of(cls, args: tuple[Any, ...]) -> RecurrentCall:
        """Return ``args`` by their names.

        Raises:
            NotImplementedError: the sequence is packed, or this version of torch has other arguments.
        """
        if len(args) == 9 and isinstance(args[3], (tuple, list)):
            raise NotImplementedError("a recurrent layer is given a packed sequence")
        if len(args) != 9 or not isinstance(args[2], (tuple, list)) or not isinstance(args[8], bool):
            kinds = ", ".join(type(arg).__name__ for arg in args)
            raise NotImplementedError(f"torch {torch.__version__} gives a recurrent layer other arguments: {kinds}")
        return cls(*args)

    @property
    def drops(self) -> bool:
        """Whether it drops between its layers."""
        return bool(self.p and self.training)


def recurrent(func: Callable[..., Any], sample: Tensor, args: tuple[Any, ...]) -> Any:
    """Return what a recurrent layer of torch makes of its arguments for each sample: all samples are one batch.

    Raises:
        NotImplementedError: the sequence is packed, or the weights differ between samples.
    """
    call = RecurrentCall.of(args)
    if any(map(differs, call.weights)):
        raise NotImplementedError("the weights of a recurrent layer differ between samples")
    batch = 0 if call.batch_first else 1
    several = isinstance(call.states, (tuple, list))

    def work(x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        samples = len(x)
        hidden = [_join(state, 1) for state in states]
        outputs = func(_join(x, batch), tuple(hidden) if several else hidden[0], *args[2:])
        return (_part(outputs[0], batch, samples), *(_part(output, 1, samples) for output in outputs[1:]))

    return over_samples(work, sample, call.x, *(call.states if several else [call.states]))


def _join(x: Tensor, batch: int) -> Tensor:
    """Return ``x``, (samples, ...), as one batch of all samples, along dimension ``batch`` of a sample."""
    return x.movedim(0, batch).flatten(batch, batch + 1)


def _part(x: Tensor, batch: int, samples: int) -> Tensor:
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
