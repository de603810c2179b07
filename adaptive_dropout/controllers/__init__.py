"""Controllers: rules that turn signals into rates, each with its memory in a state. Standard library only."""

from __future__ import annotations

from adaptive_dropout.controllers.balance import BalanceController
from adaptive_dropout.controllers.base import Controller, State
from adaptive_dropout.controllers.chain import Chain
from adaptive_dropout.controllers.clip import Clip
from adaptive_dropout.controllers.fixed import FixedController
from adaptive_dropout.controllers.gap import GapController
from adaptive_dropout.controllers.hypergradient import HypergradientController
from adaptive_dropout.controllers.partition import Partition
from adaptive_dropout.controllers.plateau import PlateauController
from adaptive_dropout.controllers.reading import read_signal
from adaptive_dropout.controllers.response import ResponseController
from adaptive_dropout.controllers.rewind import RewindController
from adaptive_dropout.controllers.slope import SlopeController
from adaptive_dropout.controllers.speed_limit import SpeedLimit
from adaptive_dropout.controllers.storing import state_from_dict, state_to_dict

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
    "read_signal",
    "state_from_dict",
    "state_to_dict",
]
