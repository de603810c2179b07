"""Lightning callbacks: they say when rates move and where that is logged; controllers and schedules say how."""

from adaptive_dropout.callbacks.adaptive import AdaptiveDropout
from adaptive_dropout.callbacks.bernoulli import BernoulliGradient
from adaptive_dropout.callbacks.control import DropoutRateControl
from adaptive_dropout.callbacks.learned_monitor import LearnedRateMonitor
from adaptive_dropout.callbacks.max_norm import MaxNorm
from adaptive_dropout.callbacks.mc_dropout import MCDropoutPredictor
from adaptive_dropout.callbacks.monitor import DropoutRateMonitor
from adaptive_dropout.callbacks.penalties_rates import RatePenalty
from adaptive_dropout.callbacks.penalties_weights import L1Penalty, L2Penalty
from adaptive_dropout.callbacks.progress import DropoutProgressBar
from adaptive_dropout.callbacks.scheduler import DropoutRateScheduler

__all__ = [
    "AdaptiveDropout",
    "BernoulliGradient",
    "DropoutProgressBar",
    "DropoutRateControl",
    "DropoutRateMonitor",
    "DropoutRateScheduler",
    "L1Penalty",
    "L2Penalty",
    "LearnedRateMonitor",
    "MCDropoutPredictor",
    "MaxNorm",
    "RatePenalty",
]
