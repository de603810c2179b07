"""Unbiased gradients of p through masks of zeros and ones: an estimator weights the difference of two losses.

Where a loss L is a function of the mask b, of its antithetic mask b~ and of the scale 1 / q, with q = 1 - p,

    d E[L] / d logit p = E[dL/d(1/q) d(1/q)/d logit p] + E[(L(b) - L(b~)) w]

The backward pass gives the first term. The estimator gives the second; its w for each entry of the mask is a function
of the numbers from which both masks were drawn.
"""

from adaptive_dropout.estimators.base import ARM, DisARM, Estimator

__all__ = ["ARM", "DisARM", "Estimator"]
