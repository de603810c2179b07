"""Predictions with uncertainty from dropout left on: Monte Carlo dropout (Gal and Ghahramani, 2016)."""

from adaptive_dropout.inference.likelihood import (
    class_log_likelihood,
    fit_noise_precision,
    gaussian_log_likelihood,
)
from adaptive_dropout.inference.samples import consistent_mc_samples, mc_samples
from adaptive_dropout.inference.spread import (
    class_spread,
    gaussian_spread,
    mutual_information,
    output_spread,
    predictive_entropy,
)
from adaptive_dropout.inference.switch import mc_dropout

__all__ = [
    "class_log_likelihood",
    "class_spread",
    "consistent_mc_samples",
    "fit_noise_precision",
    "gaussian_log_likelihood",
    "gaussian_spread",
    "mc_dropout",
    "mc_samples",
    "mutual_information",
    "output_spread",
    "predictive_entropy",
]
