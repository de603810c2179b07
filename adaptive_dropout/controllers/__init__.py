"""Controllers: rules that turn signals into rates. Their memory is in a state. Standard library only."""

from __future__ import annotations

from adaptive_dropout.controllers.base import Controller, State, read_signal
from adaptive_dropout.controllers.chain import Chain
from adaptive_dropout.controllers.curves import BalanceController, SlopeController
from adaptive_dropout.controllers.fixed import FixedController
from adaptive_dropout.controllers.gap import GapController
from adaptive_dropout.controllers.gradient import HypergradientController, ResponseController
from adaptive_dropout.controllers.partition import Partition
from adaptive_dropout.controllers.plateau import PlateauController
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
