"""Two small models of others, and three ways to treat the dropout of their attention."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import timm
import torch
import transformers as hf
from timm.layers import Attention
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.functional import scaled_dot_product_attention

__all__ = ["MODELS", "WAYS", "Case"]


class Case(NamedTuple):
    """A model, a batch for it, which rates are those of its attention, and how that is replaced by ours."""

    model: nn.Module
    batch: Tensor
    attention: str
    replace: Callable[[nn.Module], None]

    def loss(self, model: Callable[[Tensor], Any]) -> Tensor:
        """Return something to differentiate."""
        out = model(self.batch)
        total: Tensor = getattr(out, "logits", out).sum()
        return total


class Steered(nn.Module):
    """The attention of timm's `Attention`, plain as its Vision Transformers have it, with a rate that is a tensor."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.rate = ad.SettableRate(attention.attn_drop.p)

    def forward(self, x: Tensor, **masks: None) -> Tensor:
        batch, time, channels = x.shape
        q, k, v = self.attention.qkv(x).reshape(batch, time, 3, self.attention.num_heads, -1).permute(2, 0, 3, 1, 4)
        y = scaled_dot_product_attention(q, k, v, self.rate.value)
        return self.attention.proj_drop(self.attention.proj(y.transpose(1, 2).reshape(batch, time, channels)))


def vit() -> Case:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = timm.create_model(
            "vit_tiny_patch16_224", img_size=32, patch_size=4, embed_dim=48, depth=1, num_heads=3, num_classes=10,
            drop_rate=0.1, proj_drop_rate=0.1, attn_drop_rate=0.1, drop_path_rate=0.1,
        )  # fmt: skip

    def replace(model: nn.Module) -> None:
        for block in model.blocks:
            block.attn = Steered(block.attn)

    return Case(model, torch.rand(4, 3, 32, 32), ".attn_drop", replace)


def bert() -> Case:
    size = {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 192}
    model = hf.BertForSequenceClassification(hf.BertConfig(vocab_size=100, num_labels=2, **size))

    def attend(module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **_: Any) -> tuple[Tensor, None]:
        return scaled_dot_product_attention(q, k, v, module.dropout_rate.value, mask).transpose(1, 2), None

    def replace(model: nn.Module) -> None:
        hf.AttentionInterface.register("steered", attend)
        model.set_attn_implementation("steered")
        for layer in model.bert.encoder.layer:
            layer.attention.self.dropout_rate = ad.SettableRate(layer.attention.self.dropout.p)

    return Case(model, torch.randint(1, 100, (4, 64)), ".self.dropout", replace)


def leave(case: Case) -> None:
    ad.convert(case.model, where=lambda name: not name.endswith(case.attention))


def write(case: Case) -> None:
    ad.convert(case.model)


def replace(case: Case) -> None:
    case.replace(case.model)
    leave(case)


MODELS: Mapping[str, Callable[[], Case]] = {"timm ViT": vit, "BERT": bert}
WAYS: Mapping[str, Callable[[Case], None]] = {
    "left alone": leave,
    "written in hundredths": write,
    "ours in its place": replace,
}
