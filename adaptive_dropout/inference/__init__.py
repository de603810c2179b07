"""Predictions with uncertainty from dropout left on: Monte Carlo dropout (Gal and Ghahramani, 2016)."""

from adaptive_dropout.inference.likelihood import (
    class_log_likelihood,
    fit_noise_precision,
    gaussian_log_likelihood,
)
from adaptive_dropout.inference.mc_mode import mc_dropout
from adaptive_dropout.inference.samples import consistent_mc_samples, mc_samples
from adaptive_dropout.inference.uncertainty import (
    class_uncertainty,
    gaussian_uncertainty,
    mutual_information,
    output_uncertainty,
    predictive_entropy,
)

__all__ = [
    "class_log_likelihood",
    "class_uncertainty",
    "consistent_mc_samples",
    "fit_noise_precision",
    "gaussian_log_likelihood",
    "gaussian_uncertainty",
    "mc_dropout",
    "mc_samples",
    "mutual_information",
    "output_uncertainty",
    "predictive_entropy",
]
