"""`LayerDrop`: a list of layers of which each is skipped with probability p, for the whole batch, and takes no time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from adaptive_dropout.modules.base import Proxy, rate_of, record_call
from adaptive_dropout.noise.backend import on_kernels
from adaptive_dropout.noise.keys import draw_common_key
from adaptive_dropout.noise.mask import mask
from adaptive_dropout.noise.settings import BERNOULLI
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["LayerDrop"]

P = float | Schedule | Rate


class LayerDrop(nn.Module):
    """Run layers one after the other; in training skip each with probability p for the whole batch. Eval runs all.

    Call it: ``x = layers(x, mask)`` gives x to the first layer, its output to the second, and ``mask`` to all of them.
    A skipped layer passes x on, so input and output have one shape, as in a transformer or a residual network. Which
    are skipped is drawn at the call, from the generator of the device of x, without waiting for it. Going through the
    list, counting and indexing it draw nothing and skip nothing. A slice is a `LayerDrop` of some of the layers, with
    their rates: ``layers[::2]`` is the pruned network. The keys of a checkpoint are those of the list alone.

    The parameters of a skipped layer get a gradient of zeros, although it does not run: they are inputs of an identity
    behind the last layer, whose backward pass makes the zeros. So ``DistributedDataParallel`` needs no
    ``find_unused_parameters``, even where processes skip different layers. An optimizer treats them as after any batch
    without information: momentum and weight decay go on. Processes seeded alike skip the same layers, whatever
    `set_replica` says: else each step would take as long as the slowest of them, and where the layers communicate, as
    under FSDP or with synchronised batch norm, the others would wait for ever.

    Time is saved where Python decides which layers run: a training step of 12 transformer blocks took .83 (.04) of its
    time at p = .2, and .53 (.04) at .5. Compiled as a part of a model, or under `torch.vmap`, all of them run and the
    outputs of the skipped are not used; to save time, compile the layers: ``for layer in layers: layer.compile()``.

    >>> blocks = LayerDrop([nn.Linear(4, 4) for _ in range(12)], 0.2)
    >>> blocks
    LayerDrop(
      p=0.2
      (0-11): 12 x Linear(in_features=4, out_features=4, bias=True)
    )
    >>> len(blocks), blocks(torch.ones(2, 4)).shape
    (12, torch.Size([2, 4]))

    Args:
        layers: an `nn.Sequential` or `nn.ModuleList`, or modules in any iterable.
        p: the probability that a layer is skipped, in [0, 1], a schedule or a rate; or one of these for each layer, as
            `progressive_layer_dropping` has them. No gradient reaches it.
        rescale: multiply what a kept layer adds to its input by 1 / (1 - p), which keeps the mean; off in LayerDrop, on
            in stochastic depth and in progressive layer dropping.

    Raises:
        TypeError: ``layers`` is one layer, or an entry is none; or a layer returned something other than a tensor.
        ValueError: there are no layers, or not one p for each.

    Source: Fan, Grave and Joulin (2020), "Reducing transformer depth on demand with structured dropout".
    """

    def __init__(self, layers: Iterable[nn.Module], p: P | Sequence[P] = 0.2, *, rescale: bool = False) -> None:
        super().__init__()
        for name, layer in _named(layers):
            self.add_module(name, layer)
        self.rescale = rescale
        if not len(self):
            raise ValueError("LayerDrop needs at least one layer, but got none")
        if not isinstance(p, Sequence) or isinstance(p, str):
            self.rate = rate_of(p, LayerDrop)
            return
        if len(p) != len(self):
            raise ValueError(f"LayerDrop needs one p, or one for each of its {len(self)} layers, but got {len(p)}")
        for index, each in enumerate(p):
            self.add_module(f"rate{index}", rate_of(each, LayerDrop))

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The rate of each layer; all the same if one is shared."""
        found = tuple(module for module in self._modules.values() if isinstance(module, Rate))
        return found * len(self) if "rate" in self._modules else found

    @property
    def p(self) -> float:
        """The mean over the layers: the share of them that is skipped. Assigning moves all of their rates."""
        return sum(rate.p for rate in self.rates) / len(self)

    @p.setter
    def p(self, p: float) -> None:
        for rate in self.rates:
            rate.p = p

    def forward(self, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return the output of the last layer that runs; all but the first argument go to every layer."""
        if isinstance(input, Proxy):
            return record_call(self, input, *args, **kwargs)
        x, factors, skipped = input, self._draw(input) if self.training else [1.0] * len(self), []
        for layer, factor in zip(self, factors, strict=True):
            if isinstance(factor, float) and factor == 0.0:
                skipped.append(layer)
                continue
            y = layer(x, *args, **kwargs)
            if not isinstance(y, Tensor):
                raise TypeError(f"LayerDrop gives a tensor to the next layer, but got {type(y).__name__} from {layer}")
            x = _pass_on(x, y, factor, self.rescale and self.training)
        return _with_zero_gradients(x, skipped) if skipped else x

    def _draw(self, x: Tensor) -> Sequence[float | Tensor]:
        """Return for each layer 0 or 1 / (1 - p); numbers, unless the noise of ``x`` is recorded or transformed."""
        rates = self.rates
        if on_kernels(x):
            known = [rate.p for rate in rates]
            if not any(known):
                return [1.0] * len(rates)
            key = draw_common_key(x)
            if isinstance(key, int):
                p = torch.tensor(known, dtype=torch.float32, device="cpu")
                return mask(torch.ones_like(p), BERNOULLI.table(p), key).tolist()
        else:
            key = draw_common_key(x)
        p = torch.stack([rate.read() for rate in rates])
        return mask(torch.ones_like(p), BERNOULLI.table(p), key).unbind()

    def __len__(self) -> int:
        return sum(not isinstance(module, Rate) for module in self._modules.values())

    def __iter__(self) -> Iterator[nn.Module]:
        return iter([module for module in self._modules.values() if not isinstance(module, Rate)])  # type: ignore[misc]

    def __getitem__(self, index: int | slice) -> Any:
        layers = list(self)
        if not isinstance(index, slice):
            return layers[index]
        rates = self.rate if "rate" in self._modules else self.rates[index]
        return LayerDrop(layers[index], rates, rescale=self.rescale).train(self.training)

    def extra_repr(self) -> str:
        """Show p, and that the layers are rescaled if they are."""
        return f"p={self.p:g}" + (", rescale=True" if self.rescale else "")

    def __repr__(self) -> str:
        layers = nn.ModuleList(self)
        lines = repr(layers).split("\n")[1:-1]
        return "\n".join([f"LayerDrop(\n  {self.extra_repr()}", *lines, ")"])


class _ZeroGradients(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.parameters = parameters
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        return gradient, *(torch.zeros_like(parameter) for parameter in ctx.parameters)


def _with_zero_gradients(x: Tensor, skipped: Iterable[nn.Module]) -> Tensor:
    """Return ``x``, in whose backward pass the parameters of the ``skipped`` layers get zeros."""
    parameters = {id(each): each for layer in skipped for each in layer.parameters() if each.requires_grad}
    if not parameters or not torch.is_grad_enabled() or not x.is_floating_point():
        return x
    y: Tensor = _ZeroGradients.apply(x, *parameters.values())
    return y


def _pass_on(x: Tensor, y: Tensor, factor: float | Tensor, rescale: bool) -> Tensor:
    """Return ``y``, or ``x`` where the factor is 0; with ``rescale`` x + factor (y - x)."""
    if isinstance(factor, float):
        return torch.lerp(x, y, factor) if rescale and factor != 1.0 else y
    scaled = torch.lerp(x, y, factor.to(y.dtype)) if rescale else y
    return torch.where(factor != 0, scaled, x)


def _named(layers: Iterable[nn.Module]) -> list[tuple[str, nn.Module]]:
    if isinstance(layers, (nn.Sequential, nn.ModuleList)):
        return list(layers._modules.items())
    if isinstance(layers, nn.Module) and not isinstance(layers, LayerDrop):
        raise TypeError(f"LayerDrop takes a list of layers, but got one layer, {layers!r}")
    found = list(layers)
    for layer in found:
        if not isinstance(layer, nn.Module):
            raise TypeError(f"LayerDrop takes layers, but got {layer!r}")
    return [(str(index), layer) for index, layer in enumerate(found)]
