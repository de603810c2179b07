"""Rates: each holds a drop probability and has exactly one writer; and the rates of a whole model by name."""

from adaptive_dropout.rates.attribute import AttributeRate
from adaptive_dropout.rates.effective import EffectiveRate
from adaptive_dropout.rates.kinds import LearnedRate, Rate, ScheduledRate, SettableRate
from adaptive_dropout.rates.model import (
    get_rates,
    named_rates,
    rate_param_groups,
    refresh_rates,
    set_rates,
    set_step,
)
from adaptive_dropout.rates.variance import LearnedVariance

__all__ = [
    "AttributeRate",
    "EffectiveRate",
    "LearnedRate",
    "LearnedVariance",
    "Rate",
    "ScheduledRate",
    "SettableRate",
    "get_rates",
    "named_rates",
    "rate_param_groups",
    "refresh_rates",
    "set_rates",
    "set_step",
]
