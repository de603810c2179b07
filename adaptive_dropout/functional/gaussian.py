"""Multiplicative Gaussian noise, as strong as dropout with probability p."""

from __future__ import annotations

from torch import Tensor

from adaptive_dropout.functional.bernoulli import draw
from adaptive_dropout.functional.inputs import as_given, as_number, as_p, check_input, is_known_zero
from adaptive_dropout.noise.backend import in_dual_level
from adaptive_dropout.noise.keys import draw_key
from adaptive_dropout.noise.normal import gaussian, gaussian_by_kernel, gaussian_of_p
from adaptive_dropout.noise.settings import GAUSSIAN, Key, OfP

__all__ = ["gaussian_dropout"]


def gaussian_dropout(x: Tensor, p: float | Tensor, key: Key | None = None) -> Tensor:
    """Multiply ``x`` by Gaussian noise as strong as dropout with probability ``p``.

    The noise is N(1, p / (1 - p)), which has the mean and the variance of a Bernoulli mask scaled by ``1 / (1 - p)``.
    ``p`` gets a gradient. p = 0 is the identity; at p = 1 the variance is infinite and the result is zeros, as in
    `dropout`.

    Args:
        x: any shape, floating point.
        p: in [0, 1]; a tensor that broadcasts to ``x`` gives each element its own. Its values are checked on a CPU
            only, because reading them would wait for another device.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``x`` is not floating point.
        ValueError: ``p`` is outside [0, 1].

    Source: Srivastava et al. (2014), section 10; Kingma et al. (2015) call the variance alpha.
    """
    check_input(x)
    number = as_number(p)
    if key is not None:
        key = as_given(key, x)
    if is_known_zero(p, number):
        return x
    if (isinstance(p, Tensor) and p.requires_grad) or in_dual_level():
        return gaussian_of_p(x, as_p(p, x), draw_key(x) if key is None else key)
    settings, key = draw(x, p, number, GAUSSIAN, key)
    of_kernel = isinstance(settings, OfP)  # which says that a kernel may read x
    return (gaussian_by_kernel if of_kernel else gaussian)(x, settings, key)
