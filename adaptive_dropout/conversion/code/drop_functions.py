"""The functions that drop, and which of their arguments is the probability."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch.nn import functional as F

from adaptive_dropout import functional

__all__ = ["CALLS", "probability_of"]

# function: the name of p and its place among the arguments
CALLS: dict[Callable[..., Any], tuple[str, int]] = {
    **dict.fromkeys(
        (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout), ("p", 1)
    ),
    **dict.fromkeys((torch.dropout, torch.alpha_dropout, torch.feature_dropout, torch.feature_alpha_dropout), ("p", 1)),
    **dict.fromkeys(
        (torch.dropout_, torch.alpha_dropout_, torch.feature_dropout_, torch.feature_alpha_dropout_), ("p", 1)
    ),
    F.scaled_dot_product_attention: ("dropout_p", 4),
    F.multi_head_attention_forward: ("dropout_p", 10),
}
OTHERS = {
    "timm.layers.drop": ("drop_path", "drop_block_2d", "drop_block_fast_2d"),
    "torchvision.ops": ("stochastic_depth", "drop_block2d", "drop_block3d"),
    "flash_attn": ("flash_attn_func", "flash_attn_qkvpacked_func", "flash_attn_varlen_func"),
    "xformers.ops": ("memory_efficient_attention",),
}
# Many repositories hold a copy of timm's or torchvision's function, under the same name.
COPIED = ("drop_path", "stochastic_depth")
NAMES = ("p", "drop_prob", "dropout_p")


def probability_of(function: Any) -> tuple[str, int] | None:
    """Return the name and the place of the argument of ``function`` that is a drop probability; None if there is none.

    It knows the functions of torch, this library, timm, torchvision, flash_attn and xformers, and copies of drop paths.
    """
    if isinstance(function, Hashable) and callable(function) and function in CALLS:
        return CALLS[function]
    if not inspect.isfunction(function):
        return None
    ours = function.__name__ in functional.__all__ and function is getattr(functional, function.__name__)
    theirs = any(function is getattr(sys.modules.get(m), name, None) for m, names in OTHERS.items() for name in names)
    if not (ours or theirs or function.__name__ in COPIED):
        return None
    places = {name: place for place, name in enumerate(inspect.signature(function).parameters)}
    return next(((name, places[name]) for name in NAMES if name in places), None)
