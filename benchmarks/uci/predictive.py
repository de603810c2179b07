"""What samples of a prediction are worth: the error of their mean, and the likelihood of the targets."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["fitted_precision", "log_likelihood", "rmse"]


def rmse(samples: Tensor, y: Tensor) -> float:
    """Return the root mean squared error of the mean of ``samples``, (samples, n), for ``y``, (n,)."""
    return float((samples.mean(0) - y).square().mean().sqrt())


def log_likelihood(samples: Tensor, y: Tensor, precision: float) -> float:
    """Return the mean of ln (1/T) sum_t N(y | sample_t, 1 / precision), in nats per example.

    Args:
        samples: T predictions of each example, (T, n).
        y: the targets, (n,).
        precision: of the noise of the targets, above 0.

    Source: Gal and Ghahramani (2016), section 4.
    """
    exponents = -0.5 * precision * (samples.double() - y.double()).square()
    mixed = torch.logsumexp(exponents, 0) - math.log(len(samples))
    return float(mixed.mean()) + 0.5 * math.log(precision / (2 * math.pi))


def fitted_precision(samples: Tensor, y: Tensor) -> float:
    """Return the noise precision under which ``y``, (n,), is likeliest, to 5 %.

    Samples, (samples, n), that disagree explain part of the error, so it is looked for between half of 1 / rmse^2 and a
    hundred times that.
    """
    least = 1 / rmse(samples, y) ** 2
    candidates = [least * 1.05**power for power in range(-14, 95)]
    return max(candidates, key=lambda precision: log_likelihood(samples, y, precision))
