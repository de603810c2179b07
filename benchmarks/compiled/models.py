"""Two small models of others, and two ways to treat the dropout of their attention."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import timm
import torch
import transformers as hf
from torch import Tensor, nn

import adaptive_dropout as ad

__all__ = ["MODELS", "WAYS", "Case"]


class Case(NamedTuple):
    """A model, a batch for it, and how the names of the rates of its attention end."""

    model: nn.Module
    batch: Tensor
    attention: str

    def loss(self, model: Callable[[Tensor], Any]) -> Tensor:
        """Return something to differentiate."""
        out = model(self.batch)
        total: Tensor = getattr(out, "logits", out).sum()
        return total


def vit() -> Case:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = timm.create_model(
            "vit_tiny_patch16_224", img_size=32, patch_size=4, embed_dim=48, depth=1, num_heads=3, num_classes=10,
            drop_rate=0.1, proj_drop_rate=0.1, attn_drop_rate=0.1, drop_path_rate=0.1,
        )  # fmt: skip
    return Case(model, torch.rand(4, 3, 32, 32), ".attn_drop")


def bert() -> Case:
    size = {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 192}
    model = hf.BertForSequenceClassification(hf.BertConfig(vocab_size=100, num_labels=2, **size))
    return Case(model, torch.randint(1, 100, (4, 64)), ".self.dropout")


def leave(case: Case) -> None:
    ad.convert(case.model, where=lambda name: not name.endswith(case.attention))


def convert(case: Case) -> None:
    ad.convert(case.model)


MODELS: Mapping[str, Callable[[], Case]] = {"timm ViT": vit, "BERT": bert}
WAYS: Mapping[str, Callable[[Case], None]] = {"left alone": leave, "converted": convert}
