"""Our layer for each layer of someone else's that makes the same noise; subclasses of those have none."""

from __future__ import annotations

from typing import Any

from torch import nn

from adaptive_dropout import modules
from adaptive_dropout.modules import DropBlock2d, DropBlock3d, Dropout, DropPath, LockedDropout, NoiseLayer

__all__ = ["NAMES", "attribute_of", "counterpart_of", "p_of", "settings_of"]

NAMES = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
COUNTERPARTS: dict[type[nn.Module], type[NoiseLayer]] = {getattr(nn, name): getattr(modules, name) for name in NAMES}
BY_NAME: dict[tuple[str, str], type[NoiseLayer]] = {
    ("torchvision", "DropBlock2d"): DropBlock2d,
    ("torchvision", "DropBlock3d"): DropBlock3d,
    ("timm", "DropBlock2d"): DropBlock2d,
    ("timm", "DropPath"): DropPath,
    ("torchvision", "StochasticDepth"): DropPath,
    ("fastai", "RNNDropout"): LockedDropout,
    ("torchnlp", "LockedDropout"): LockedDropout,
}
# With which the noise differs: no scale, one mask for the whole batch, numbers in place of the zeros.
UNLIKE = {"scale_by_keep": False, "mode": "batch", "batchwise": True, "with_noise": True}
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
    if type(layer) is nn.Identity:
        adapter = slot.endswith(tuple(f"{kind}_dropout" for kind in ADAPTERS))
        adapter |= slot == "dropout" and _package(parent) == "torchtune"
        return DropPath if "drop_path" in slot else Dropout if adapter else None
    package, name = _package(layer), type(layer).__name__
    if package == "transformers" and name.endswith("DropPath") and hasattr(layer, "drop_prob"):
        return DropPath  # each model has a class of its own, such as BeitDropPath; their code is the same
    unlike = any(getattr(layer, setting, None) == value for setting, value in UNLIKE.items())
    return None if unlike else BY_NAME.get((package, name))


def attribute_of(layer: nn.Module) -> str:
    """Return the name of the attribute that holds the p of a layer with a counterpart; "" for an identity."""
    return next((name for name in ("p", "drop_prob") if hasattr(layer, name)), "")


def p_of(layer: nn.Module) -> float:
    """Return the drop probability of a layer with a counterpart, in [0, 1].

    That of a DropBlock is the share of a map that it is meant to lose; timm has models that lose a quarter of their p.
    """
    p = float(getattr(layer, attribute_of(layer), 0.0))
    return min(p * getattr(layer, "gamma_scale", 1.0), 1.0)


def settings_of(layer: nn.Module) -> dict[str, Any]:
    """Return the arguments, beside p, with which our layer makes the noise of ``layer``."""
    package, kind = _package(layer), counterpart_of("", layer)
    if kind is LockedDropout:
        return {"batch_first": package == "fastai"}
    if kind in (DropBlock2d, DropBlock3d):
        return {"block_size": layer.block_size, "shared": getattr(layer, "couple_channels", False)}
    return {}


def _package(module: nn.Module | None) -> str:
    return type(module).__module__.partition(".")[0]
