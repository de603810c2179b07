"""Lightning callbacks: they say when rates move and where that is logged; controllers and schedules say how."""

from adaptive_dropout.callbacks.adaptive import AdaptiveDropout
from adaptive_dropout.callbacks.bernoulli_gradient import BernoulliGradient
from adaptive_dropout.callbacks.control import DropoutRateControl
from adaptive_dropout.callbacks.learned_monitor import LearnedRateMonitor
from adaptive_dropout.callbacks.mc_dropout import MCDropoutPredictor
from adaptive_dropout.callbacks.monitor import DropoutRateMonitor
from adaptive_dropout.callbacks.penalties import L1Penalty, L2Penalty, MaxNorm, RatePenalty
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
