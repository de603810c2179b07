"""How likely the true targets are under the samples of a prediction: the predictive log-likelihood.

The prediction is the mixture of all T samples, so this is ln (1/T) sum_t p(y | sample t), in nats for each example.
Papers report its mean over the test set.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["class_log_likelihood", "fit_noise_precision", "gaussian_log_likelihood"]


def class_log_likelihood(logits: Tensor, y: Tensor) -> Tensor:
    """Return the predictive log-likelihood of classes in nats, (batch, ...): at most 0.

    It is the logarithm of the mean probability of the true class, so minus its mean is the cross-entropy of the mean
    prediction.

    >>> logits = torch.tensor([[[0.5, 0.5]], [[0.9, 0.1]]]).log()  # two samples of one example
    >>> class_log_likelihood(logits, torch.tensor([0])).exp()
    tensor([0.7000])

    Args:
        logits: (samples, batch, ..., classes).
        y: the classes as integers, (batch, ...).

    Raises:
        ValueError: the shapes do not fit, or there are no samples.

    Source: Gal and Ghahramani (2016), section 4: the average over samples in place of the integral.
    """
    if logits.dim() < 2 or not len(logits) or logits.shape[1:-1] != y.shape:
        raise ValueError(
            f"logits have to be (samples, batch, ..., classes), at least one sample, and y (batch, ...), but got "
            f"{tuple(logits.shape)} and {tuple(y.shape)}"
        )
    of_class = logits.log_softmax(-1).gather(-1, y.expand(len(logits), *y.shape).unsqueeze(-1)).squeeze(-1)
    return _average(of_class)


def gaussian_log_likelihood(means: Tensor, y: Tensor, precision: float | Tensor) -> Tensor:
    """Return ln (1/T) sum_t N(y | mean t, 1/precision) in nats, (batch, ...), in float64.

    A network that gives a mean alone needs a precision from elsewhere, such as `fit_noise_precision`. One that gives a
    log-variance too, as those of `Regressor` do, has ``(-log_variances).exp()``. For targets that were divided by a
    standard deviation, subtract its logarithm: that gives the value in the units of the data.

    >>> gaussian_log_likelihood(torch.tensor([[1.0], [3.0]]), torch.tensor([2.0]), precision=1.0)
    tensor([-1.4189], dtype=torch.float64)

    Args:
        means: (samples, batch, ...).
        y: the targets, (batch, ...).
        precision: 1 over the variance of the noise, above 0; a number, or a tensor that broadcasts with ``means``.

    Raises:
        ValueError: the shapes do not fit, there are no samples, or a precision is not above 0.

    Source: Gal and Ghahramani (2016), section 4, equation 8.
    """
    if not means.dim() or not len(means) or means.shape[1:] != y.shape:
        raise ValueError(
            f"means have to be (samples, batch, ...), at least one sample, and y (batch, ...), but got "
            f"{tuple(means.shape)} and {tuple(y.shape)}"
        )
    # float64: a precise model divides small errors by a small variance, and the sum over samples has to keep up.
    noise = torch.as_tensor(precision, dtype=torch.float64, device=means.device)
    if not (noise > 0).all():
        raise ValueError(f"precision has to be above 0, but got {noise.min().item():g}")
    exponents = -0.5 * noise * (means.double() - y.double()).square()
    return _average(exponents + 0.5 * (noise / (2 * math.pi)).log())


def fit_noise_precision(means: Tensor, y: Tensor) -> float:
    """Return the noise precision under which ``y`` is likeliest, to 5 %; take it from validation data, not the test's.

    Part of the error is explained by samples that disagree, so the search runs from half of 1 / rmse^2 of their mean to
    a hundred times that.

    Args:
        means: (samples, batch, ...).
        y: the targets, (batch, ...).

    Raises:
        ValueError: the shapes do not fit, or the mean of the samples equals all targets.
    """
    if (error := float((means.double().mean(0) - y.double()).square().mean())) == 0.0:
        raise ValueError("the mean of the samples equals all targets, so their noise has no finite precision")
    candidates = [1.05**power / error for power in range(-14, 95)]
    return max(candidates, key=lambda precision: float(gaussian_log_likelihood(means, y, precision).mean()))


def _average(log_likelihoods: Tensor) -> Tensor:
    """Return the logarithm of the mean likelihood over the samples, from (samples, ...) to (...)."""
    return log_likelihoods.logsumexp(0) - math.log(len(log_likelihoods))
