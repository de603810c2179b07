"""The dropout layers: each is a function of `adaptive_dropout.functional` plus a rate."""

from adaptive_dropout.modules.alpha import AlphaDropout, FeatureAlphaDropout
from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.modules.channel_dropout import Dropout1d, Dropout2d, Dropout3d
from adaptive_dropout.modules.concrete import (
    ConcreteDropout,
    ConcreteDropout1d,
    ConcreteDropout2d,
    ConcreteDropout3d,
)
from adaptive_dropout.modules.drop_path import DropPath
from adaptive_dropout.modules.dropout import Dropout
from adaptive_dropout.modules.gaussian import GaussianDropout
from adaptive_dropout.modules.penalised import Penalised

__all__ = [
    "AlphaDropout",
    "ConcreteDropout",
    "ConcreteDropout1d",
    "ConcreteDropout2d",
    "ConcreteDropout3d",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "NoiseLayer",
    "Penalised",
]
