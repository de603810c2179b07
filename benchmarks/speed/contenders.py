"""The contenders for each noise: our layer, torch's, the naive form, the same compiled, and those of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from benchmarks.speed import others
from benchmarks.speed.others import Naive, NaiveConcrete, P, concretedropout, keras_gaussian

__all__ = ["COPY", "NAIVE", "NOISES", "OURS", "TORCH", "Noise", "try_out"]

OURS, TORCH, NAIVE, COMPILED, COPY = "ours", "nn.Dropout", "naive", "naive, compiled", "copy"

New = Callable[[], nn.Module]


@dataclass(frozen=True)
class Noise:
    """One noise and who makes it.

    Args:
        shape: of the input, for a number of elements that is a multiple of 256.
        contenders: by name.
        copies: how many copies of the input move as many bytes as forward and backward have to at least.
    """

    shape: Callable[[int], tuple[int, ...]]
    contenders: dict[str, New]
    copies: float = 2


def _rows(elements: int) -> tuple[int, ...]:
    return elements // 64, 64


def _images(elements: int) -> tuple[int, ...]:
    return elements // 128, 2, 8, 8


def _contenders(ours: New, naive_form: New, more: dict[str, New] | None = None) -> dict[str, New]:
    def compiled() -> nn.Module:
        # Dynamic shapes: compiled once for all sizes; for each size alone it was no faster, and took minutes more.
        layer: nn.Module = torch.compile(naive_form(), dynamic=True)  # type: ignore[assignment]
        return layer

    return {TORCH: lambda: nn.Dropout(P), OURS: ours, NAIVE: naive_form, COMPILED: compiled, **(more or {})}


def _of(function: Callable[[Tensor], Tensor]) -> New:
    return lambda: Naive(function)


CHANNELS: dict[str, New] = {"nn.Dropout2d": lambda: nn.Dropout2d(P)}
ALPHA: dict[str, New] = {"nn.AlphaDropout": lambda: nn.AlphaDropout(P)}
KERAS: dict[str, New] = {"Keras' GaussianDropout": keras_gaussian}
PACKAGE: dict[str, New] = {"concretedropout, and a copy": concretedropout}

OPTIONAL = {COMPILED, *KERAS, *PACKAGE}

NOISES = {
    "Bernoulli": Noise(_rows, _contenders(lambda: ad.Dropout(P), _of(others.bernoulli))),
    "Bernoulli by channel": Noise(_images, _contenders(lambda: ad.Dropout2d(P), _of(others.by_channel), CHANNELS)),
    "Gaussian": Noise(_rows, _contenders(lambda: ad.GaussianDropout(P), _of(others.gaussian), KERAS)),
    # 2.5 copies: the gradient of p reads the input again
    "concrete, p learned": Noise(_rows, _contenders(lambda: ad.ConcreteDropout(P), NaiveConcrete, PACKAGE), copies=2.5),
    "alpha": Noise(_rows, _contenders(lambda: ad.AlphaDropout(P), _of(others.alpha), ALPHA)),
}


def try_out(name: str, new: New, x: Tensor) -> nn.Module | str:
    """Return the layer; why there is none, if it needs a compiler or a package that may be missing."""
    if name not in OPTIONAL:
        return new().to(x.device)
    leaf = x.clone().requires_grad_()
    try:
        layer = new().to(x.device)
        layer(leaf).sum().backward()
    except ImportError:
        return "not installed"
    except Exception as error:
        return f"does not run here: {type(error).__name__}: {str(error).splitlines()[0][:80]}"
    return layer
