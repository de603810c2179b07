"""The dropout layers: each is a function of `adaptive_dropout.functional` plus a rate."""

from adaptive_dropout.modules.base import NoiseLayer, Penalised
from adaptive_dropout.modules.bernoulli import BernoulliDropout
from adaptive_dropout.modules.concrete import (
    ConcreteDropout,
    ConcreteDropout1d,
    ConcreteDropout2d,
    ConcreteDropout3d,
    ConcreteLayer,
)
from adaptive_dropout.modules.contextual import ContextualDropout, ContextualDropout2d
from adaptive_dropout.modules.drop_path import DropPath
from adaptive_dropout.modules.dropout import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
)
from adaptive_dropout.modules.gaussian import GaussianDropout
from adaptive_dropout.modules.patch_dropout import PatchDropout
from adaptive_dropout.modules.sparse import SparseConv1d, SparseConv2d, SparseConv3d, SparseLayer, SparseLinear
from adaptive_dropout.modules.standout import Standout
from adaptive_dropout.modules.variational import VariationalDropout, VariationalLinear
from adaptive_dropout.modules.word_dropout import WordDropout

__all__ = [
    "AlphaDropout",
    "BernoulliDropout",
    "ConcreteDropout",
    "ConcreteDropout1d",
    "ConcreteDropout2d",
    "ConcreteDropout3d",
    "ConcreteLayer",
    "ContextualDropout",
    "ContextualDropout2d",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "NoiseLayer",
    "PatchDropout",
    "Penalised",
    "SparseConv1d",
    "SparseConv2d",
    "SparseConv3d",
    "SparseLayer",
    "SparseLinear",
    "Standout",
    "VariationalDropout",
    "VariationalLinear",
    "WordDropout",
]
