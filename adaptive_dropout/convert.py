"""Makes the dropout layers of a model that someone else wrote adjustable, in place."""

from __future__ import annotations

from torch import nn

from adaptive_dropout import modules
from adaptive_dropout.modules import NoiseLayer

__all__ = ["convert"]

NAMES = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
TWINS: dict[type[nn.Module], type[NoiseLayer]] = {getattr(nn, name): getattr(modules, name) for name in NAMES}


def convert(model: nn.Module) -> dict[str, NoiseLayer]:
    """Replace torch's dropout layers in ``model`` by ours and return the new ones by name.

    Rates, ``inplace``, training mode and shared instances stay as they are, and so do the keys of the ``state_dict``. A
    layer with p = 0 is replaced too. Subclasses of torch's layers are left alone: what they do is not known. Rates that
    torch keeps as numbers (in attention and recurrent layers) are no layers and are not reached.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3))
    >>> convert(model)
    {'1': Dropout(p=0.3, inplace=False)}
    """
    made: dict[nn.Module, NoiseLayer] = {}
    converted = {}
    for path, parent in list(model.named_modules()):
        for name, child in list(parent.named_children()):
            if type(child) in TWINS:
                made.setdefault(child, _twin(child))
                setattr(parent, name, made[child])
                converted[f"{path}.{name}" if path else name] = made[child]
    return converted


def _twin(layer: nn.Module) -> NoiseLayer:
    twin = TWINS[type(layer)](layer.p, inplace=layer.inplace)  # type: ignore[call-arg, arg-type]
    return twin.train(layer.training)
