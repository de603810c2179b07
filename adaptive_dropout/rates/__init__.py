"""Rates: each holds a drop probability and has exactly one writer; here are also the rates of a whole model, by name.

- `SettableRate`, made from a number: written by you or by a controller; not in the ``state_dict``.
- `ScheduledRate`, made from a schedule: written by its schedule, at the step that it is given; not in the
  ``state_dict``.
- `LearnedRate`: written by the optimizer; its parameter ``logit`` is in the ``state_dict``.
- `FixedRate`: written by the user alone, no controller steers it; not in the ``state_dict``.
- `AttributeRate`, made by `adaptive_dropout.convert` from a number in a module: as a `SettableRate`.

A rate stays float32 when the model is cast, follows it between devices, and may be shared by several layers.
Checkpoints load strictly with and without this library.
"""

from adaptive_dropout.rates.attribute import AttributeRate
from adaptive_dropout.rates.effective import EffectiveRate
from adaptive_dropout.rates.kinds import FixedRate, LearnedRate, Rate, ScheduledRate, SettableRate
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
    "FixedRate",
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
