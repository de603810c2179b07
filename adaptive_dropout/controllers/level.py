"""Training data that is harder than validation data: wrong labels, augmentation, mixup, label smoothing.

Their loss stays above validation's whatever the network does, which would read as underfitting for ever.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["level", "offset"]


def offset(signals: Mapping[str, float]) -> float:
    """Return how far the clean loss is above the validation loss beyond two standard errors; 0 where it is not.

    A network that has memorised nothing shows the whole of it, so the largest in a run is the best estimate.

    >>> offset({"val_loss": 0.5, "clean_loss": 1.5, "gap_z": -10.0})
    0.8
    """
    z = signals.get("gap_z", 0.0)
    if z >= -2 or "clean_loss" not in signals:
        return 0.0
    above = signals["clean_loss"] - signals["val_loss"]
    return above * (1 - 2 / -z)


def level(signals: Mapping[str, float], harder: float) -> dict[str, float]:
    """Return the signals as they would be if the training data were no ``harder``.

    >>> level({"val_loss": 0.5, "train_loss": 2.0, "clean_loss": 1.5, "gap_z": -10.0}, 0.75)["train_loss"]
    1.25
    """
    if not harder:
        return dict(signals)
    lower = {name: signals[name] - harder for name in ("train_loss", "clean_loss") if name in signals}
    gap = signals["val_loss"] - signals["clean_loss"] if "clean_loss" in signals else 0.0
    if gap and "gap_z" in signals:
        lower["gap_z"] = signals["gap_z"] * (gap + harder) / gap
    return {**signals, **lower}
