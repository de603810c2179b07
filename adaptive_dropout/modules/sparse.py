"""Layers that learn which of their weights they do not need, by sparse variational dropout."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as torch_functional

from adaptive_dropout.modules.noisy_weight import NoisyWeight
from adaptive_dropout.rates.variance import LearnedVariance

__all__ = ["SparseConv1d", "SparseConv2d", "SparseConv3d", "SparseLayer", "SparseLinear"]

S = TypeVar("S", bound="SparseLayer")


class SparseLayer(NoisyWeight):
    """Adds noise of a learned variance to each weight in training; in eval mode the noisiest weights are 0.

    A weight is dropped where ln alpha = ln(sigma^2 / theta^2) is above ``threshold``: there p is above 0.95, and noise
    drowns the weight. `kl` drives weights there, so add `penalty` to the loss. At full strength from the start it can
    drop a whole layer, so let it grow from 0 over the first epochs. Put ``rate.log_variance`` into the optimizer's
    groups with `rate_param_groups`, without weight decay.

    `to_dense` returns the ordinary layer with zeros for the dropped weights, `sparsity` reports on a model, and `prune`
    replaces all of its sparse layers.

    Source: Molchanov, Ashukha and Vetrov (2017), "Variational dropout sparsifies deep neural networks".
    """

    dense: ClassVar[type[nn.Module]]
    """The ordinary layer in torch."""

    rate: LearnedVariance
    threshold: float = 3.0

    def reset_parameters(self) -> None:
        """Draw the weights as torch does, and start with hardly any noise, ln sigma^2 = -10."""
        super().reset_parameters()  # type: ignore[misc]  # torch's layer has it
        self.rate = LearnedVariance(self)

    @staticmethod
    def settings(layer: Any) -> tuple[Any, ...]:
        """Return the arguments that make a layer of the same shape as ``layer``, sparse or dense."""
        return layer.in_features, layer.out_features, layer.bias is not None

    @classmethod
    def from_dense(cls: type[S], layer: nn.Module) -> S:
        """Return a sparse layer with the weight and bias of ``layer``: the same parameters, not copies of them.

        Weights below 0.0015 in size are dropped from the start: ln alpha is above 3 there.

        Raises:
            TypeError: ``layer`` is not the ordinary layer of this class.
        """
        if type(layer) is not cls.dense:
            raise TypeError(f"{cls.__name__}.from_dense takes an nn.{cls.dense.__name__}, but got {layer!r}")
        sparse = cls(*cls.settings(layer), device="meta")  # draws no numbers
        sparse.register_parameter("weight", layer._parameters["weight"])
        sparse.register_parameter("bias", layer._parameters["bias"])
        sparse.rate = LearnedVariance(sparse)
        return sparse.train(layer.training)

    def to_dense(self) -> nn.Module:
        """Return the ordinary layer with a copy of `used_weight`; it shares nothing with this one."""
        dense = self.dense(*self.settings(self), device="meta")
        dense.weight = nn.Parameter(self.used_weight().detach().clone(), self.weight.requires_grad)
        if self.bias is not None:
            dense.bias = nn.Parameter(self.bias.detach().clone(), self.bias.requires_grad)
        return dense.train(self.training)

    def variance(self) -> Tensor:
        """Return sigma^2."""
        return self.rate.variance

    def kept(self) -> Tensor:
        """Return which weights are used in eval mode, ln alpha <= ``threshold``; bool, of the shape of the weight."""
        return self.rate.logit.detach() <= self.threshold

    def used_weight(self) -> Tensor:
        """Return the weight, with 0 for dropped elements."""
        return torch.where(self.kept(), self.weight, 0)


class SparseLinear(SparseLayer, nn.Linear):
    """`torch.nn.Linear` that learns which weights it needs; (..., in_features) -> (..., out_features)."""

    dense: ClassVar[type[nn.Module]] = nn.Linear

    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return x W^T + b."""
        return torch_functional.linear(x, weight, bias)


class SparseConvolution(SparseLayer):
    """The shared part of the convolutions."""

    @staticmethod
    def settings(layer: Any) -> tuple[Any, ...]:
        """Return the arguments that make a convolution of the same shape as ``layer``."""
        shape = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        return *shape, layer.groups, layer.bias is not None, layer.padding_mode

    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution of x, padded as torch's layer pads."""
        y: Tensor = self._conv_forward(x, weight, bias)  # type: ignore[operator]  # torch's layer has it
        return y


class SparseConv1d(SparseConvolution, nn.Conv1d):
    """`torch.nn.Conv1d` that learns which weights it needs; (batch, channels, length)."""

    dense: ClassVar[type[nn.Module]] = nn.Conv1d


class SparseConv2d(SparseConvolution, nn.Conv2d):
    """`torch.nn.Conv2d` that learns which weights it needs; (batch, channels, height, width)."""

    dense: ClassVar[type[nn.Module]] = nn.Conv2d


class SparseConv3d(SparseConvolution, nn.Conv3d):
    """`torch.nn.Conv3d` that learns which weights it needs; (batch, channels, depth, height, width)."""

    dense: ClassVar[type[nn.Module]] = nn.Conv3d
