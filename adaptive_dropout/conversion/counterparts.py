"""Our layer for each layer of torch, timm and torchvision that makes the same noise; subclasses of those have none."""

from __future__ import annotations

from torch import nn

from adaptive_dropout import modules
from adaptive_dropout.modules import Dropout, DropPath, NoiseLayer

__all__ = ["NAMES", "attribute_of", "counterpart_of", "p_of"]

NAMES = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
COUNTERPARTS: dict[type[nn.Module], type[NoiseLayer]] = {getattr(nn, name): getattr(modules, name) for name in NAMES}


def counterpart_of(slot: str, layer: nn.Module | None) -> type[NoiseLayer] | None:
    """Return our class for the ``layer`` that its parent calls ``slot``; None where there is none.

    Models build ``DropPath(p) if p > 0 else Identity()``, so an identity called ``drop_path`` is a layer with p = 0. So
    is an identity called ``lora_dropout``, which PEFT builds.
    """
    if type(layer) in COUNTERPARTS:
        return COUNTERPARTS[type(layer)]  # type: ignore[index]
    package, name = type(layer).__module__.partition(".")[0], type(layer).__name__
    # Without the scale, or with one mask for the whole batch, the noise differs from that of our layer.
    per_example = (package, name) == ("timm", "DropPath") and getattr(layer, "scale_by_keep", False)
    per_row = (package, name) == ("torchvision", "StochasticDepth") and getattr(layer, "mode", "") == "row"
    if type(layer) is nn.Identity:
        return DropPath if "drop_path" in slot else Dropout if slot.endswith("lora_dropout") else None
    return DropPath if per_example or per_row else None


def attribute_of(layer: nn.Module) -> str:
    """Return the name of the attribute that holds the p of a layer with a counterpart; "" for an identity."""
    return next((name for name in ("p", "drop_prob") if hasattr(layer, name)), "")


def p_of(layer: nn.Module) -> float:
    """Return the drop probability of a layer with a counterpart, in [0, 1]."""
    return float(getattr(layer, attribute_of(layer), 0.0))
