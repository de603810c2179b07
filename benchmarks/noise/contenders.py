"""What is timed: our layers, torch's, and the other noises as one would write them in torch operations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import adaptive_dropout as ad

__all__ = ["CONTENDERS", "REFERENCE", "saved_bytes"]

P = 0.3
REFERENCE = "nn.Dropout"


class NaiveGaussian(nn.Module):
    """Srivastava et al. (2014), section 10, one operation after the other."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + (P / (1 - P)) ** 0.5 * torch.randn_like(x))


class NaiveConcrete(nn.Module):
    """Gal, Hron and Kendall (2017), equation 5, as in the authors' own code."""

    def __init__(self) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(P).logit())

    def forward(self, x: Tensor) -> Tensor:
        p, u, eps = self.logit.sigmoid(), torch.rand_like(x), 1e-7
        gate = (p + eps).log() - (1 - p + eps).log() + (u + eps).log() - (1 - u + eps).log()
        return x * (1 - (gate / 0.1).sigmoid()) / (1 - p)


CONTENDERS: dict[str, Callable[[], nn.Module]] = {
    REFERENCE: lambda: nn.Dropout(P),
    "Dropout": lambda: ad.Dropout(P),
    "naive Gaussian": NaiveGaussian,
    "GaussianDropout": lambda: ad.GaussianDropout(P),
    "naive concrete": NaiveConcrete,
    "ConcreteDropout": lambda: ad.ConcreteDropout(P),
}


def saved_bytes(layer: nn.Module, x: Tensor) -> float:
    """Return the bytes for each element of ``x`` that ``layer`` saves for its backward pass, beside ``x`` itself."""
    saved: dict[int, int] = {}

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        y = layer(x)
    saved.pop(x.untyped_storage().data_ptr(), None)
    saved.pop(y.untyped_storage().data_ptr(), None)
    return sum(saved.values()) / x.numel()
