"""Unbiased gradients of p through masks of zeros and ones: each estimator is a weight for the difference of two losses.

Where a loss L is a function of the mask b, of its twin b~ and of the scale 1 / q, with q = 1 - p,

    d E[L] / d logit p = E[dL/d(1/q) d(1/q)/d logit p] + E[(L(b) - L(b~)) w]

The first term is the backward pass's. The second is the estimator's, whose w for each entry of the mask is a function
of the numbers that both were drawn from.
"""

from adaptive_dropout.estimators.arm import ARM
from adaptive_dropout.estimators.base import Estimator
from adaptive_dropout.estimators.disarm import DisARM

__all__ = ["ARM", "DisARM", "Estimator"]
