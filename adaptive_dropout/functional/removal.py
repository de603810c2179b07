"""Words that are taken out of a text, instead of being zeroed in it: what follows computes on fewer of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from adaptive_dropout.checks import check_p
from adaptive_dropout.functional.antithetic import draw_pair
from adaptive_dropout.functional.inputs import another, as_given, as_number, check_input
from adaptive_dropout.noise.settings import Key

__all__ = ["remove_words"]


def remove_words(
    x: Tensor, p: float | Tensor, real: Tensor | None = None, key: Key | None = None
) -> tuple[Tensor, Tensor | None]:
    """Take words out of ``x``, (batch, words, channels), with probability ``p``; the others keep their order.

    Nothing is scaled: a mean over words keeps its mean, a sum over words does not. Add what depends on the position of
    a word before, and a class token after. p = 0 is the identity; a text never loses its last word.

    Without ``real`` all texts lose the same number of words, p words rounded to the nearest, so p acts in steps of
    1 / words. With it each real word is lost with probability p exactly (a text with n of them loses p n, rounded up or
    down at random), and what is padding stays or goes so that the result is as short as it can be for any draw.

    Args:
        x: floating point.
        p: in [0, 1]. A tensor on a device is waited for, unless it belongs to a settable or scheduled rate: the shape
            follows from p, so compiled code is compiled anew when p moves.
        real: (batch, words), False where a text is padded; it has at least one word.
        key: as in `dropout`.

    Returns:
        The shorter texts, (batch, kept, channels), and their ``real``, None if none was given.

    Raises:
        RuntimeError: ``x`` does not have three dimensions, or is not floating point.
        ValueError: ``p`` is outside [0, 1], or ``real`` is not boolean of shape (batch, words).

    Source: Liu et al. (2023), "PatchDropout", for a fixed number of the patches of an image.
    """
    check_input(x)
    if x.dim() != 3:
        raise RuntimeError(f"remove_words takes (batch, words, channels), but got shape {tuple(x.shape)}")
    if real is not None and (real.shape != x.shape[:2] or real.dtype != torch.bool):
        raise ValueError(
            f"real has to be boolean, of shape {tuple(x.shape[:2])}, but got {real.dtype}, {tuple(real.shape)}"
        )
    number, words, key = _known(p), x.shape[1], as_given(key, x)
    if number == 0.0 or not x.numel():
        return x, real
    u = draw_pair(x.new_empty(x.shape[:2]), 0.5, key).uniform()
    if real is None:
        left = max(words - math.floor(words * number + 0.5), 1)
        order = u.argsort(1)[:, :left].sort(1).values
        return _take(x, order), None
    count = real.sum(1, keepdim=True)
    v = draw_pair(x.new_empty(len(x), 1), 0.5, another(key)).uniform()
    kept = (count - (count * number + v).floor()).clamp(min=1)
    stays = torch.where(real, u, 2.0).argsort(1).argsort(1) < torch.minimum(kept, count)
    left = max(math.ceil(words * (1 - number) - 1e-6), 1)  # 1 - p in float64 may lie a little above its integer
    order = (~stays).long().argsort(dim=1, stable=True)[:, :left]
    return _take(x, order), stays.gather(1, order)


def _known(p: float | Tensor) -> float:
    number = as_number(p)
    if number is None:
        assert isinstance(p, Tensor)
        number = getattr(p, "known_p", None)
        number = check_p(p.item() if number is None else number)
    return number


def _take(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order.unsqueeze(2).expand(-1, -1, x.shape[2]))
