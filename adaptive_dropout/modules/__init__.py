"""The dropout layers: each is a function of `adaptive_dropout.functional` plus a rate.

Dropout, Dropout1d to Dropout3d, AlphaDropout and FeatureAlphaDropout replace torch's layers of the same name.
GaussianDropout multiplies by Gaussian noise, DropPath drops whole examples at the end of a residual branch,
WordDropout and PatchDropout drop whole words and patches. For recurrent networks, LockedDropout has one mask for all
times of a sequence, ``WeightDrop.on(lstm, "weight_hh_l0")`` drops parameters of any module while it runs, and
EmbeddingDropout is an embedding that drops words of its vocabulary. ZoneoutLSTM and ZoneoutGRU replace torch's layers:
their units keep their previous value, and units of the candidate can be dropped; Zoneout does it in a loop of your own.
LayerDrop holds a list of layers and skips each for a whole batch, which saves its time;
`schedules.progressive_layer_dropping` lets p grow with time and depth. DropEdge and DropNode say which edges and nodes
of a graph take part in a step.
In attention, DropKey hides keys before the softmax and DropHead drops whole heads after it; neither ever drops all.
TargetedDropout and TargetedUnitDropout drop the smallest weights and units of a module, which then can be pruned.

These layers learn:

- ``ConcreteDropout.wrap(layer)``: a soft mask on the input of a dense layer or convolution; learns one p.
- VariationalDropout: Gaussian noise on units; learns an alpha = p / (1 - p) for the layer, or for each unit.
- VariationalLinear: Gaussian noise on weights; learns an alpha for each weight, row or column.
- SparseLinear and SparseConv1d to SparseConv3d: Gaussian noise on weights; learn a variance for each weight. The
  noisiest weights are 0 in eval mode, and ``prune(model)`` gives ordinary layers.
- BernoulliDropout: true zeros and ones; learns p without bias by ``DisARM().loss(model, loss_fn)``, a second forward
  pass without gradient. In Lightning, ``callbacks.BernoulliGradient`` runs each training step twice for it.
- ContextualDropout and ContextualDropout2d: Gaussian noise on units or channels; learn a small network that gives each
  example its own p.
- ``Standout(layer, activation)``: true zeros and ones; learns nothing. The excitation of a unit decides how likely it
  stays.

``penalty(model, n)`` is the divergence that holds their rates above 0. In Lightning, ``callbacks.RatePenalty`` adds
its gradient (Classifier and Regressor do without being asked), ``L1Penalty``, ``L2Penalty`` and ``MaxNorm`` limit
weights beside any dropout, and ``LearnedRateMonitor`` logs alphas and sparsity, and warns of a rate without gradient,
at its bound, or under weight decay.

For images, DropBlock1d to DropBlock3d drop contiguous blocks of feature maps, exactly a share p of them, and
``DropPath.residual(x, branch)`` saves the time that a residual branch would take for the examples that it drops.
ShakeDrop multiplies a residual branch by random numbers, others in the backward pass.
"""

from adaptive_dropout.modules.attention import DropHead, DropKey
from adaptive_dropout.modules.base import NoiseLayer, Penalised, Rated
from adaptive_dropout.modules.bernoulli import BernoulliDropout
from adaptive_dropout.modules.concrete import (
    ConcreteDropout,
    ConcreteDropout1d,
    ConcreteDropout2d,
    ConcreteDropout3d,
    ConcreteLayer,
)
from adaptive_dropout.modules.contextual import ContextualDropout, ContextualDropout2d
from adaptive_dropout.modules.drop_block import DropBlock1d, DropBlock2d, DropBlock3d
from adaptive_dropout.modules.drop_path import DropPath
from adaptive_dropout.modules.dropout import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
)
from adaptive_dropout.modules.embedding_dropout import EmbeddingDropout
from adaptive_dropout.modules.gaussian import GaussianDropout
from adaptive_dropout.modules.graphs import DropEdge, DropNode
from adaptive_dropout.modules.layer_drop import LayerDrop
from adaptive_dropout.modules.locked_dropout import LockedDropout
from adaptive_dropout.modules.patch_dropout import PatchDropout
from adaptive_dropout.modules.shake_drop import ShakeDrop
from adaptive_dropout.modules.sparse import SparseConv1d, SparseConv2d, SparseConv3d, SparseLayer, SparseLinear
from adaptive_dropout.modules.standout import Standout
from adaptive_dropout.modules.targeted_dropout import TargetedDropout, TargetedUnitDropout
from adaptive_dropout.modules.variational import VariationalDropout, VariationalLinear
from adaptive_dropout.modules.weight_drop import WeightDrop
from adaptive_dropout.modules.word_dropout import WordDropout
from adaptive_dropout.modules.zoneout import Zoneout
from adaptive_dropout.modules.zoneout_rnn import ZoneoutGRU, ZoneoutLSTM

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
    "DropBlock1d",
    "DropBlock2d",
    "DropBlock3d",
    "DropEdge",
    "DropHead",
    "DropKey",
    "DropNode",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "EmbeddingDropout",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "LayerDrop",
    "LockedDropout",
    "NoiseLayer",
    "PatchDropout",
    "Penalised",
    "Rated",
    "ShakeDrop",
    "SparseConv1d",
    "SparseConv2d",
    "SparseConv3d",
    "SparseLayer",
    "SparseLinear",
    "Standout",
    "TargetedDropout",
    "TargetedUnitDropout",
    "VariationalDropout",
    "VariationalLinear",
    "WeightDrop",
    "WordDropout",
    "Zoneout",
    "ZoneoutGRU",
    "ZoneoutLSTM",
]
