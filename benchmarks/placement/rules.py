"""Rules that steer the rate of each place, in one run, all places from the same rate."""

from __future__ import annotations

import functools
from collections.abc import Callable

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.controllers import Clip
from benchmarks.placement.delta import DeltaControl
from benchmarks.placement.places import PLACES, place
from benchmarks.study.study import Kinds
from benchmarks.supervised.method import Method

__all__ = ["RULES"]


def default() -> Method:
    """The rule of `AdaptiveDropout()`, which moves all places alike and starts by itself."""
    return _steered(
        lambda: DropoutRateControl(ad.RestartController()), ad.RestartController().starting_rates({"p": 0.5})["p"]
    )


def response(start: float = 0.2) -> Method:
    """The learned response in a rewind."""
    return _steered(lambda: DropoutRateControl(ad.RewindController(ad.ResponseController())), start)


def hypergradient(start: float = 0.2) -> Method:
    """The derivative one step ahead in a rewind."""
    return _steered(lambda: DropoutRateControl(ad.RewindController(ad.HypergradientController())), start)


def delta(start: float = 0.2, share: float = 0.5) -> Method:
    """The response in its delta form in a rewind; ``share`` of each batch trains the weights."""
    controller = ad.RewindController(ad.ResponseController())
    DeltaControl(controller, share)  # raises if it is out of range
    return _steered(lambda: DeltaControl(controller, share), start)


def bounded_delta(start: float = 0.2, share: float = 1.0, low: float = 0.05) -> Method:
    """`delta` whose rates stay above ``low``: at .001 half a logit more makes no difference to learn."""
    controller = ad.RewindController(Clip(ad.ResponseController(), low=low))
    DeltaControl(controller, share)  # raises if it is out of range
    return _steered(lambda: DeltaControl(controller, share), start)


def _steered(control: Callable[[], DropoutRateControl], start: float) -> Method:
    rates = dict.fromkeys(PLACES, start)
    return Method(functools.partial(ad.Dropout, start), lambda: [control()], functools.partial(place, rates))


RULES: Kinds = {
    "default": default,
    "response": response,
    "hypergradient": hypergradient,
    "delta": delta,
    "bounded-delta": bounded_delta,
}
"""Every rule by its name."""
