"""Controllers: rules that turn signals into rates, each with its memory in a state. Standard library only.

- `RestartController`, the default: follows both loss curves from a start of its own; on an early stall it begins anew
  at other rates, later it rewinds.
- `RewindController` does the same from the model's rates, and on a stall goes back to the best weights.
- `PlateauController` moves the rates when validation stalls: up where it is worse than training, down otherwise.
- `GapController` keeps validation loss minus training loss in a band.
- `HypergradientController` and `ResponseController` follow a derivative of the validation loss by each rate, measured
  while training at 1.1 to 1.2 times the cost; put them into a rewind, as in
  ``RewindController(HypergradientController())``.
- `BalanceController` and `SlopeController` are the two rules that the default is made of.
- `FixedController` leaves the rates alone.
- `Clip` and `SpeedLimit` wrap any other, `Chain` runs several on the same rates, and
  ``Partition({"encoder.*": ..., "*": ...})`` gives each part of a model its own.
"""

from __future__ import annotations

from adaptive_dropout.controllers.base import Controller, State
from adaptive_dropout.controllers.chain import Chain
from adaptive_dropout.controllers.curves import BalanceController, SlopeController
from adaptive_dropout.controllers.fixed import FixedController
from adaptive_dropout.controllers.gap import GapController
from adaptive_dropout.controllers.gradient import HypergradientController, ResponseController
from adaptive_dropout.controllers.partition import Partition
from adaptive_dropout.controllers.plateau import PlateauController
from adaptive_dropout.controllers.reading import read_signal
from adaptive_dropout.controllers.restart import RestartController
from adaptive_dropout.controllers.rewind import RewindController
from adaptive_dropout.controllers.serialization import (
    controller_from_dict,
    controller_to_dict,
    state_from_dict,
    state_to_dict,
)
from adaptive_dropout.controllers.wrappers import Clip, SpeedLimit

__all__ = [
    "BalanceController",
    "Chain",
    "Clip",
    "Controller",
    "FixedController",
    "GapController",
    "HypergradientController",
    "Partition",
    "PlateauController",
    "ResponseController",
    "RestartController",
    "RewindController",
    "SlopeController",
    "SpeedLimit",
    "State",
    "controller_from_dict",
    "controller_to_dict",
    "read_signal",
    "state_from_dict",
    "state_to_dict",
]
