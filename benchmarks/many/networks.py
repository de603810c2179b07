"""Many MLPs at once: each layer of all networks is one batched matrix product, and so is each optimizer's step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Networks", "Optimizer", "Snapshot", "gaussian_losses", "label_losses"]


class Networks:
    """The weights of N networks of one shape, side by side: a layer is (N, inputs, outputs), its bias (N, 1, outputs).

    Args:
        given: a network for each of them; `torch.nn.Linear` in order, ReLU and dropout between them.
        device: where the weights lie.
    """

    def __init__(self, given: Sequence[nn.Module], device: str) -> None:
        layers = [[part for part in network.modules() if isinstance(part, nn.Linear)] for network in given]
        self.tensors: list[Tensor] = []
        for number in range(len(layers[0])):
            same = [each[number] for each in layers]
            self.tensors.append(torch.stack([layer.weight.detach().T for layer in same]).contiguous().to(device))
            self.tensors.append(torch.stack([layer.bias.detach()[None] for layer in same]).to(device))
        for tensor in self.tensors:
            tensor.requires_grad_()

    def outputs(self, x: Tensor, p: Tensor | None = None) -> Tensor:
        """Return (N, batch, outputs) for ``x``, (N, batch, inputs); ``p``, (N, hidden layers), is that of dropout."""
        last = len(self.tensors) // 2 - 1
        for number in range(last + 1):
            weight, bias = self.tensors[2 * number : 2 * number + 2]
            x = torch.baddbmm(bias, x, weight)
            if number < last:
                x = x.relu()
                if p is not None:
                    kept = 1 - p[:, number, None, None]
                    x = x * ((torch.rand_like(x) < kept) / kept)
        return x


class Optimizer:
    """Adam, or SGD with momentum, each network with its own moments and number of steps.

    Args:
        networks: whose tensors are trained.
        kind: "adam" or "sgd".
        lr: the learning rate; ``lr_scale`` multiplies it.
    """

    def __init__(self, networks: Networks, kind: str, lr: float) -> None:
        self.networks, self.kind, self.lr, self.lr_scale = networks, kind, lr, 1.0
        self.moments = [
            [torch.zeros_like(tensor) for tensor in networks.tensors] for _ in range(2 if kind == "adam" else 1)
        ]
        self.steps = torch.zeros(len(networks.tensors[0]), 1, 1, device=networks.tensors[0].device)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move all weights along their gradients."""
        self.steps += 1
        lr = self.lr * self.lr_scale
        first = self.moments[0]
        if self.kind == "sgd":
            torch._foreach_mul_(first, 0.9)
            torch._foreach_add_(first, gradients)
            torch._foreach_add_(self.networks.tensors, first, alpha=-lr)
            return
        second = self.moments[1]
        torch._foreach_lerp_(first, gradients, 0.1)
        torch._foreach_mul_(second, 0.999)
        torch._foreach_addcmul_(second, gradients, gradients, 0.001)
        scale = (1 - 0.999**self.steps).sqrt()
        size = -lr * scale / (1 - 0.9**self.steps)
        below = torch._foreach_sqrt(second)
        torch._foreach_add_(below, [1e-8 * scale] * len(below))
        torch._foreach_div_(below, [size] * len(below))
        torch._foreach_addcdiv_(self.networks.tensors, first, below)


class Snapshot:
    """A copy of the weights, moments and steps of each network, made at different times."""

    def __init__(self, networks: Networks, optimizer: Optimizer) -> None:
        self._live = [*networks.tensors, *(moment for row in optimizer.moments for moment in row), optimizer.steps]
        self._kept = [tensor.detach().clone() for tensor in self._live]

    @torch.no_grad()
    def take(self, which: Tensor) -> None:
        """Copy the networks of ``which``, indices."""
        for live, kept in zip(self._live, self._kept, strict=True):
            kept[which] = live[which]

    @torch.no_grad()
    def restore(self, which: Tensor) -> None:
        """Put the copies of ``which`` back."""
        for live, kept in zip(self._live, self._kept, strict=True):
            live[which] = kept[which]


def label_losses(output: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy of logits (N, batch, classes) and labels (N, batch), for each example."""
    return torch.nn.functional.cross_entropy(output.movedim(-1, 1), y, reduction="none")


def gaussian_losses(output: Tensor, y: Tensor) -> Tensor:
    """Return the Gaussian negative log-likelihood of mean and log-variance, (N, batch, 2), for each example."""
    mean, log_variance = output.unbind(-1)
    return 0.5 * ((y - mean) ** 2 * (-log_variance).exp() + log_variance + math.log(2 * math.pi))
