"""Our layer for each layer of someone else's that makes the same noise; subclasses of those have none."""

from __future__ import annotations

from torch import nn

from adaptive_dropout import modules
from adaptive_dropout.modules import Dropout, DropPath, NoiseLayer

__all__ = ["NAMES", "attribute_of", "counterpart_of", "p_of"]

NAMES = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
COUNTERPARTS: dict[type[nn.Module], type[NoiseLayer]] = {getattr(nn, name): getattr(modules, name) for name in NAMES}


# What PEFT builds with nn.Dropout, or with an identity where the rate is 0. Its oft_dropout and boft_dropout are other
# noise: they replace blocks of a rotation by the unit matrix.
ADAPTERS = ("lora", "vera", "hira", "frod", "miss", "deft", "psoft", "shadow")


def counterpart_of(slot: str, layer: nn.Module | None, parent: nn.Module | None = None) -> type[NoiseLayer] | None:
    """Return our class for the ``layer`` that its ``parent`` calls ``slot``; None where there is none.

    Models build ``DropPath(p) if p > 0 else Identity()``, so an identity called ``drop_path`` is a layer with p = 0. So
    is an identity called ``lora_dropout``, or like another of PEFT's adapters, and ``dropout`` in torchtune's.
    """
    if type(layer) in COUNTERPARTS:
        return COUNTERPARTS[type(layer)]  # type: ignore[index]
    package, name = _package(layer), type(layer).__name__
    # Without the scale, or with one mask for the whole batch, the noise differs from that of our layer.
    per_example = (package, name) == ("timm", "DropPath") and getattr(layer, "scale_by_keep", False)
    per_row = (package, name) == ("torchvision", "StochasticDepth") and getattr(layer, "mode", "") == "row"
    # Each model of transformers has a class of its own, such as BeitDropPath; their code is the same.
    of_a_model = package == "transformers" and name.endswith("DropPath") and hasattr(layer, "drop_prob")
    if type(layer) is nn.Identity:
        adapter = slot.endswith(tuple(f"{kind}_dropout" for kind in ADAPTERS))
        adapter |= slot == "dropout" and _package(parent) == "torchtune"
        return DropPath if "drop_path" in slot else Dropout if adapter else None
    return DropPath if per_example or per_row or of_a_model else None


def attribute_of(layer: nn.Module) -> str:
    """Return the name of the attribute that holds the p of a layer with a counterpart; "" for an identity."""
    return next((name for name in ("p", "drop_prob") if hasattr(layer, name)), "")


def p_of(layer: nn.Module) -> float:
    """Return the drop probability of a layer with a counterpart, in [0, 1]."""
    return float(getattr(layer, attribute_of(layer), 0.0))


def _package(module: nn.Module | None) -> str:
    return type(module).__module__.partition(".")[0]
