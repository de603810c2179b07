"""Kernels that make the settings of a noise from p, and those of backward passes, each with what they have to give.

`make` runs under Triton's interpreter, in the process of `tests.noise.interpreted`, and `expect` here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adaptive_dropout.noise.concrete import odds_and_scale
from adaptive_dropout.noise.fused import relu_mask_reference
from adaptive_dropout.noise.gate import gate_reference
from adaptive_dropout.noise.mask import mask_reference
from adaptive_dropout.noise.normal import gaussian_reference
from adaptive_dropout.noise.philox import CHUNK, LANES
from adaptive_dropout.noise.settings import ALPHA, BERNOULLI, GAUSSIAN, Law, OfP, without_shifts
from tests.noise.cases import KEY

P, TEMPERATURE, LIMIT = 0.3137, 0.1, 2.0**12
CHANNELS = (3, 5, 7, 41)


class Case(NamedTuple):
    """How a kernel is run, what it has to give, and how far it may be off, relative to the largest number."""

    make: Callable[[Any], Tensor]
    expect: Callable[[], Tensor]
    error: float = 0.0


def numbers(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64).to(dtype)


def chunks(x: Tensor) -> int:
    return -(-x.numel() // (CHUNK * LANES))


def elementwise(name: str, law: Law, reference: Callable[..., Tensor], x: Tensor, p: Tensor, key: Any) -> Case:
    def make(cuda: Any) -> Tensor:
        out = torch.empty_like(x)
        getattr(cuda, name)(x, out, key, OfP(p, law), chunks(x))
        return out

    return Case(make, lambda: reference(x, OfP(p, law), KEY))


def shared(law: Law, shape: tuple[int, ...], run: int, shifted: bool = True) -> Case:
    x, settings = numbers(shape), OfP(torch.tensor(P), law)
    settings = settings if shifted else without_shifts(settings)

    def make(cuda: Any) -> Tensor:
        out = torch.empty_like(x)
        cuda.mask_shared(x, out, KEY, settings, chunks(x), run)
        return out

    return Case(make, lambda: mask_reference(x, settings, KEY, run))


def relu_backward() -> Case:
    x, bias, gradient = numbers((70, 101)), numbers((101,)), numbers((70, 101)).flip(0)
    settings = OfP(torch.tensor(P), BERNOULLI)
    y = relu_mask_reference(x, bias, settings, KEY)

    def make(cuda: Any) -> Tensor:
        out = torch.empty_like(y)
        cuda.relu_mask_backward(y, gradient, out, 0, settings, chunks(y))
        return out

    return Case(make, lambda: mask_reference(gradient * (x + bias > 0), settings, KEY))


def learned(name: str, slope: str, settings: OfP, *more: float, reference: Callable[..., Tensor]) -> list[Case]:
    """The gradient of x, exact, and that of p, a sum of 9001 rounded products."""
    x, gradient = numbers((9001,)), numbers((9001,)).flip(0)

    def results(cuda: Any) -> tuple[Tensor, Tensor]:
        out, sums, to_p = torch.empty_like(x), torch.zeros(2, chunks(x)), torch.empty(())
        getattr(cuda, name)(x, gradient, out, sums, KEY, settings, chunks(x), *more)
        getattr(cuda, slope)(sums, settings.p, to_p, *([TEMPERATURE] if more else []))
        return out, to_p

    def expected() -> tuple[Tensor, Tensor]:
        leaf, p = x.double().requires_grad_(), settings.p.double().requires_grad_()
        found = torch.autograd.grad(reference(leaf, p), (leaf, p), gradient.double())
        return found[0].float(), found[1].float()

    return [
        Case(lambda cuda: results(cuda)[0], lambda: expected()[0], 1e-5),
        Case(lambda cuda: results(cuda)[1], lambda: expected()[1], 1e-4),
    ]


def gaussian_of(x: Tensor, p: Tensor) -> Tensor:
    return gaussian_reference(x, GAUSSIAN.table(p), KEY)


def concrete_of(x: Tensor, p: Tensor) -> Tensor:
    return gate_reference(x, *odds_and_scale(p, TEMPERATURE), 1 / TEMPERATURE, KEY)


def cases() -> dict[str, Case]:
    made = {}
    one, many = torch.tensor(P), torch.linspace(0, 1, 5).reshape(1, 5, 1, 1)
    kinds = (
        ("mask", BERNOULLI, mask_reference),
        ("mask", ALPHA, mask_reference),
        ("gaussian", GAUSSIAN, gaussian_reference),
    )
    for name, law, reference in kinds:
        for dtype in (torch.float32, torch.float64, torch.float16):
            x = numbers((4099,), dtype)
            made[f"{law.number} of one p, {dtype}"] = elementwise(name, law, reference, x, one, int(KEY))
        each = elementwise(name, law, reference, numbers(CHANNELS), many, KEY)
        made[f"{law.number} of a p for each channel, from 0 to 1"] = each
    for p in (0.0, 1.0, 2**-17, 3 * 2**-17, 1 - 2**-17):
        for law in (BERNOULLI, ALPHA):
            x = numbers((600,))
            made[f"{law.number} at the edge {p}"] = elementwise("mask", law, mask_reference, x, torch.tensor(p), KEY)
    made |= {
        "whole maps of 8 x 8": shared(BERNOULLI, (4, 40, 8, 8), 64),
        "whole maps of 7 x 41": shared(BERNOULLI, CHANNELS, 287),
        "pairs": shared(ALPHA, (300, 2), 2),
        "whole maps with shifts": shared(ALPHA, (2, 300, 4, 4), 16),
        "whole maps without the shifts": shared(ALPHA, (2, 300, 4, 4), 16, shifted=False),
        "relu, backwards": relu_backward(),
    }
    gaussian = learned("gaussian_backward", "gaussian_slope", OfP(one, GAUSSIAN), reference=gaussian_of)
    law = Law(4, lambda p: torch.stack(odds_and_scale(p, TEMPERATURE)))
    gate = learned("gate_backward", "concrete_slope", OfP(one, law), 1 / TEMPERATURE, LIMIT, reference=concrete_of)
    made |= {f"gaussian, {what}": case for what, case in zip(("x", "p"), gaussian, strict=True)}
    return made | {f"concrete, {what}": case for what, case in zip(("x", "p"), gate, strict=True)}


CASES = cases()
