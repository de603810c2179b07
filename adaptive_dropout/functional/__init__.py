"""The maths of each noise as a function of (x, p); the layers of `adaptive_dropout.modules` are these plus a rate.

By default the mask is drawn from torch's generator. With ``key``, 64 bits, a function is pure: the same key gives the
same mask, on each device, eager, compiled, vmapped or differentiated, and the generator stays where it is. Keys that
differ, if only by 1, give independent masks: give each call a key of its own, such as ``step * calls + call``.
`torch.vmap` then needs no ``randomness``: with one key for each example, an example loses what it would lose alone.

>>> import torch
>>> from adaptive_dropout.functional import dropout
>>> x, keys = torch.ones(3, 4), torch.tensor([7, 7, 8])
>>> y = torch.vmap(lambda x, key: dropout(x, 0.5, key=key))(x, keys)
>>> torch.equal(y[0], y[1]), torch.equal(y[0], dropout(x[0], 0.5, key=7))
(True, True)

In compiled code the key has to be a tensor: code is compiled anew for other numbers. `noisy_product` and
`scaled_dot_product_attention`, which may draw with torch's own kernels, take no key.
"""

from adaptive_dropout.functional.antithetic import bernoulli_dropout
from adaptive_dropout.functional.attention import scaled_dot_product_attention
from adaptive_dropout.functional.attention_noise import drop_head, drop_key
from adaptive_dropout.functional.bernoulli import (
    alpha_dropout,
    drop_path,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from adaptive_dropout.functional.concrete import (
    concrete_dropout,
    concrete_dropout1d,
    concrete_dropout2d,
    concrete_dropout3d,
)
from adaptive_dropout.functional.consistency import symmetric_bernoulli_kl, symmetric_kl
from adaptive_dropout.functional.drop_block import drop_block1d, drop_block2d, drop_block3d
from adaptive_dropout.functional.drop_path_residual import drop_path_residual
from adaptive_dropout.functional.fused import bias_relu_dropout, dropout_add
from adaptive_dropout.functional.gaussian import gaussian_dropout
from adaptive_dropout.functional.graphs import KeptGraph, check_edges, drop_edge, drop_node
from adaptive_dropout.functional.kl import exact_kl, kingma_kl, molchanov_kl
from adaptive_dropout.functional.noisy_product import noisy_product
from adaptive_dropout.functional.recurrent import embedding_dropout, locked_dropout, weight_drop
from adaptive_dropout.functional.removal import remove_words
from adaptive_dropout.functional.shake_drop import shake_drop
from adaptive_dropout.functional.structured import patch_dropout, word_dropout
from adaptive_dropout.functional.targeted import targeted_dropout, targeted_unit_dropout
from adaptive_dropout.functional.zoneout import zoneout

__all__ = [
    "KeptGraph",
    "alpha_dropout",
    "bernoulli_dropout",
    "bias_relu_dropout",
    "check_edges",
    "concrete_dropout",
    "concrete_dropout1d",
    "concrete_dropout2d",
    "concrete_dropout3d",
    "drop_block1d",
    "drop_block2d",
    "drop_block3d",
    "drop_edge",
    "drop_head",
    "drop_key",
    "drop_node",
    "drop_path",
    "drop_path_residual",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dropout_add",
    "embedding_dropout",
    "exact_kl",
    "feature_alpha_dropout",
    "gaussian_dropout",
    "kingma_kl",
    "locked_dropout",
    "molchanov_kl",
    "noisy_product",
    "patch_dropout",
    "remove_words",
    "scaled_dot_product_attention",
    "shake_drop",
    "symmetric_bernoulli_kl",
    "symmetric_kl",
    "targeted_dropout",
    "targeted_unit_dropout",
    "weight_drop",
    "word_dropout",
    "zoneout",
]
