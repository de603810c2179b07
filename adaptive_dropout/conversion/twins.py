"""Which layer of ours makes the noise of whose: only layers known to the letter, no subclasses of them."""

from __future__ import annotations

from torch import nn

from adaptive_dropout import modules
from adaptive_dropout.modules import Dropout, DropPath, NoiseLayer

__all__ = ["NAMES", "attribute_of", "p_of", "twin_of"]

NAMES = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
TWINS: dict[type[nn.Module], type[NoiseLayer]] = {getattr(nn, name): getattr(modules, name) for name in NAMES}


def twin_of(slot: str, layer: nn.Module | None) -> type[NoiseLayer] | None:
    """Return the class of ours for the ``layer`` that its parent calls ``slot``; None where there is none.

    Models build ``DropPath(p) if p > 0 else Identity()``, so an identity called ``drop_path`` is a layer with p = 0. So
    is one called ``lora_dropout``, of PEFT.
    """
    if type(layer) in TWINS:
        return TWINS[type(layer)]  # type: ignore[index]
    package, name = type(layer).__module__.partition(".")[0], type(layer).__name__
    # Without the rescaling, or with one mask for the whole batch, it is not the noise of our layer.
    per_example = (package, name) == ("timm", "DropPath") and getattr(layer, "scale_by_keep", False)
    per_row = (package, name) == ("torchvision", "StochasticDepth") and getattr(layer, "mode", "") == "row"
    if type(layer) is nn.Identity:
        return DropPath if "drop_path" in slot else Dropout if slot.endswith("lora_dropout") else None
    return DropPath if per_example or per_row else None


def attribute_of(layer: nn.Module) -> str:
    """Return the name of the number from which a layer that has a twin takes its p; "" for an identity."""
    return next((name for name in ("p", "drop_prob") if hasattr(layer, name)), "")


def p_of(layer: nn.Module) -> float:
    """Return the drop probability of a layer that has a twin, in [0, 1]."""
    return float(getattr(layer, attribute_of(layer), 0.0))
