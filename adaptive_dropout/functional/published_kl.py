"""The two published approximations of `exact_kl`, for results that were computed with them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from adaptive_dropout.noise.backend import readable, work_dtype

__all__ = ["kingma_kl", "molchanov_kl"]

EULER_GAMMA = 0.5772156649015329
AT_ZERO = (EULER_GAMMA + math.log(2)) / 2  # what KL + ln(alpha) / 2 tends to as alpha goes to 0


def kingma_kl(ln_alpha: Tensor) -> Tensor:
    """Return the published polynomial in alpha for `exact_kl`, which holds for alpha <= 1 only.

    -KL = c + 1/2 ln alpha + 1.161451 alpha - 1.502041 alpha^2 + 0.586299 alpha^3. The paper leaves c open; here it is
    the one that is exact as alpha goes to 0, and the rest is up to 0.041 nats below the exact divergence.

    Args:
        ln_alpha: any shape, floating point, at most 0. That is checked on a CPU only, because it would wait for another
            device: for alpha > 1 there the result soon falls without a bound, and means nothing.

    Returns:
        Nats for each element, float32 or float64.

    Raises:
        ValueError: an alpha is above 1.

    Source: Kingma et al. (2015), equation 14.
    """
    ln_alpha = ln_alpha.to(work_dtype(ln_alpha))
    if readable(ln_alpha) and (ln_alpha > 0).any():
        raise ValueError(
            f"kingma_kl holds for alpha <= 1, p <= 0.5, but got alpha = {ln_alpha.max().exp().item():g}; "
            "use exact_kl, or clamp ln alpha at 0 after each step"
        )
    alpha = ln_alpha.exp()
    polynomial = alpha * (1.161451241083230 + alpha * (-1.502041176441722 + alpha * 0.586299206427007))
    return AT_ZERO - ln_alpha / 2 - polynomial


def molchanov_kl(ln_alpha: Tensor) -> Tensor:
    """Return the published sigmoid and logarithm for `exact_kl`, which err by less than 0.0095 nats at any alpha.

    -KL = k1 sigmoid(1.87320 + 1.48695 ln alpha) - 1/2 ln(1 + 1 / alpha) - k1 with k1 = 0.63576. It goes to 0 as alpha
    goes to infinity, as the exact one does.

    Args:
        ln_alpha: any shape, floating point.

    Returns:
        Nats for each element, float32 or float64.

    Source: Molchanov, Ashukha and Vetrov (2017), equation 14.
    """
    ln_alpha = ln_alpha.to(work_dtype(ln_alpha))
    return 0.63576 * torch.sigmoid(-1.87320 - 1.48695 * ln_alpha) - F.logsigmoid(ln_alpha) / 2
