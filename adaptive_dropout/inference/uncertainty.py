"""How uncertain a prediction is, told from its samples: in all, and how much of that is the model's own doubt.

The uncertainty functions take samples, (samples, batch, ...), and return named tensors, (batch, ...): ``mean``, in the
form of one output of the model, and uncertainties. Aleatoric uncertainty is noise in the data, which more data would
not remove; epistemic uncertainty is the disagreement between samples of the model, which it would.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    "class_uncertainty",
    "gaussian_uncertainty",
    "mutual_information",
    "output_uncertainty",
    "predictive_entropy",
]


def predictive_entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy of the mean prediction in nats, (batch, ...): the uncertainty from all sources.

    It lies between 0 and ln(classes).

    >>> predictive_entropy(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]))
    tensor([0.6931])

    Args:
        probabilities: (samples, batch, ..., classes), each adding up to 1.

    Raises:
        ValueError: the values are not probabilities, or there are none.

    Source: Gal (2016), "Uncertainty in deep learning", equation 3.2 and the section around it.
    """
    return _entropy(_check(probabilities).mean(0))


def mutual_information(probabilities: Tensor) -> Tensor:
    """Return the epistemic part of the entropy in nats, (batch, ...): how much the samples disagree.

    It is `predictive_entropy` minus the mean entropy of the samples, which is the aleatoric part. It is 0 where all
    samples agree, and never more than the predictive entropy. Arguments and errors are those of `predictive_entropy`.

    >>> mutual_information(torch.tensor([[[0.5, 0.5]], [[0.5, 0.5]]]))
    tensor([0.])

    Source: Houlsby et al. (2011), equation 2; Gal (2016), section 3.3.1.
    """
    total = predictive_entropy(probabilities)
    return (total - _entropy(probabilities).mean(0)).clamp(min=0)  # rounding can leave it below 0


def output_uncertainty(samples: Tensor) -> dict[str, Tensor]:
    """Return ``mean`` and ``std`` of the samples of any output; the standard deviation of one sample is NaN."""
    std = samples.std(0) if len(samples) > 1 else torch.full_like(samples[0], math.nan)
    return {"mean": samples.mean(0), "std": std}


def class_uncertainty(samples: Tensor) -> dict[str, Tensor]:
    """Return ``mean``, ``entropy`` and ``mutual_information`` of samples of logits, (samples, batch, ..., classes).

    ``mean`` holds the logarithms of the mean probabilities. They are logits too: their softmax and cross-entropy are
    those of the mean prediction. ``entropy`` and ``mutual_information`` are in nats.
    """
    logs = samples.log_softmax(-1)
    probabilities = logs.exp()
    return {
        "mean": logs.logsumexp(0) - math.log(len(samples)),
        "entropy": predictive_entropy(probabilities),
        "mutual_information": mutual_information(probabilities),
    }


def gaussian_uncertainty(samples: Tensor) -> dict[str, Tensor]:
    """Return ``mean``, ``aleatoric`` and ``epistemic`` of samples of a mean and a log-variance, (samples, batch, 2).

    `Regressor` networks give such outputs. ``mean`` is again (batch, 2): the mean and the log-variance of the mixture
    of all samples. Its variance is the sum of two: ``aleatoric`` is the mean of the samples' variances, and
    ``epistemic`` is the variance of their means.

    Source: Kendall and Gal (2017), equation 9.
    """
    if samples.dim() != 3 or samples.shape[2] != 2:
        raise ValueError(
            "gaussian_uncertainty takes samples (samples, batch, 2) of mean and log-variance, "
            f"but got {tuple(samples.shape)}"
        )
    means, log_variances = samples.unbind(2)
    aleatoric, epistemic = log_variances.exp().mean(0), means.var(0, correction=0)
    mean = torch.stack([means.mean(0), (aleatoric + epistemic).log()], 1)
    return {"mean": mean, "aleatoric": aleatoric, "epistemic": epistemic}


def _entropy(probabilities: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(probabilities).sum(-1)
    return entropy


def _check(probabilities: Tensor) -> Tensor:
    shape = tuple(probabilities.shape)
    if probabilities.dim() < 3 or not probabilities.numel():
        raise ValueError(f"probabilities have to be (samples, batch, ..., classes), none of them 0, but got {shape}")
    sums = probabilities.sum(-1)
    far = (sums - 1).abs().max().item()
    # Half precision rounds each of many classes to 3 digits.
    if (probabilities < 0).any() or not far <= 1e-2:
        low, high = sums.min().item(), sums.max().item()
        raise ValueError(
            f"probabilities have to be at least 0 and add up to 1 over the last dimension, but their sums reach from "
            f"{low:g} to {high:g} and the lowest is {probabilities.min().item():g}; use logits.softmax(-1)"
        )
    return probabilities
