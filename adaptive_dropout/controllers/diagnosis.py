"""What the losses say: has validation stalled, does the network overfit, has it learned yet, is its data harder?

All of these are pure functions of the signals, for the rules that compare training with validation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from adaptive_dropout.controllers.addition import add_up
from adaptive_dropout.controllers.reading import read_optional, read_or, read_signal
from adaptive_dropout.probability import clip

__all__ = [
    "SHORTEST_STALL",
    "has_hardly_learned",
    "logits_to_raise",
    "overfits",
    "steps_until_stalled",
    "training_offset",
    "without_offset",
]

SHORTEST_STALL = 5
"""How many validations without a new best are a stall while the best weights are young."""

LONGEST = 60  # doublings: more than any run has steps, and 2.0**1024 is an error


def steps_until_stalled(age: float, interval: float, fruitless: int, left: float) -> float:
    """Return after how many optimizer steps without a better validation loss it has stalled.

    Half the age of the best weights, at least five validations, and twice as long after each rewind that brought no new
    best; but at most a third of the steps that are left, so that a run does not wait until its end.

    Args:
        age: optimizer steps that the best weights have been trained for.
        interval: optimizer steps from one validation to the next.
        fruitless: rewinds since the best validation.
        left: optimizer steps until the run ends.

    >>> [steps_until_stalled(age, 20, fruitless, 3000) for age, fruitless in ((400, 0), (400, 3), (40, 0))]
    [200.0, 1000.0, 100]
    """
    least = SHORTEST_STALL * interval
    return max(least, min(max(least, age / 2) * 2.0 ** min(fruitless, LONGEST), left / 3))


def overfits(last_val_loss: float, signals: Mapping[str, float]) -> bool:
    """Return whether more noise would help weights that validate like this. Three signs are asked for.

    The gap between validation and clean loss is significant. The training loss, with dropout on, is not above
    validation's, or the noise is too strong as it is. And training has gone on since the best validation: the clean
    loss fell significantly, or little of it was left to fall, as the training loss is below half of validation's.

    Args:
        last_val_loss: that of the validation before.
        signals: those of this validation. Without ``train_loss`` the second sign is not asked for, and without
            ``gap_z``, where no standard error of the losses is known, the first is not. A training loss below half of
            validation's, with dropout on, is a gap that needs no standard error.
    """
    reference = (last_val_loss + read_signal(signals, "val_loss")) / 2
    train_loss = read_optional(signals, "train_loss")
    if train_loss is not None and train_loss > reference:
        return False
    went_on = read_or(signals, "clean_drop_z", 0.0) > 2
    # 100 digits in one batch have no standard error: without this sign rewinds only lower, and the best validation loss
    # is .053 (.016) higher in seven runs.
    little_left = train_loss is not None and reference > 0 and train_loss < reference / 2
    return read_or(signals, "gap_z", math.inf) > 2 and (went_on or little_left)


def logits_to_raise(recent: Sequence[float], best: float, signals: Mapping[str, float]) -> float:
    """Return by how many logits to raise rates that overfit, in [0.5, 1.5].

    One logit per tenth of its gain over ``trivial_loss`` that validation has lost since its best. Where
    the rate is nearly right, validation stays near its best while training goes on; where it is much too low,
    validation soon loses much. 1 if ``trivial_loss`` is not known.

    Args:
        recent: the last validation losses.
        best: the lowest.
        signals: those of this validation.

    >>> logits_to_raise([0.7, 0.8], best=0.5, signals={"trivial_loss": 3.0})
    1.0
    """
    gained = read_or(signals, "trivial_loss", best) - best
    if gained <= 0:
        return 1.0
    lost = add_up(recent) / len(recent) - best
    return clip(10 * lost / gained, 0.5, 1.5)


def has_hardly_learned(val_loss: float, signals: Mapping[str, float]) -> bool:
    """Return whether ``val_loss`` is above 0.95 of ``trivial_loss``; False if that is unknown or not positive.

    Until then every comparison of training with validation is noise.
    """
    trivial = read_or(signals, "trivial_loss", 0.0)
    return trivial > 0 and val_loss >= 0.95 * trivial


def training_offset(signals: Mapping[str, float]) -> float:
    """Return how far the clean loss is above the validation loss, if by more than two standard errors; else 0.

    Then the training data is harder than validation's: wrong labels, augmentation, mixup, label smoothing. Its loss
    stays above validation's whatever the network does, which would read as underfitting for ever. A network that has
    memorised nothing shows the whole offset, so the largest in a run is the best estimate.
    Without ``gap_z`` it is 0: where no standard error is known, any difference may be chance.

    >>> training_offset({"val_loss": 0.5, "clean_loss": 1.5, "gap_z": -10.0})
    1.0
    """
    if read_or(signals, "gap_z", 0.0) >= -2 or "clean_loss" not in signals:
        return 0.0
    return read_signal(signals, "clean_loss") - read_signal(signals, "val_loss")


def without_offset(signals: Mapping[str, float], offset: float) -> dict[str, float]:
    """Return the signals as they would be if the training data were as easy as validation's.

    >>> without_offset({"val_loss": 0.5, "train_loss": 2.0, "clean_loss": 1.5, "gap_z": -10.0}, 0.75)["train_loss"]
    1.25
    """
    if not offset:
        return dict(signals)
    lower = {name: signals[name] - offset for name in ("train_loss", "clean_loss") if name in signals}
    gap = signals["val_loss"] - signals["clean_loss"] if "clean_loss" in signals else 0.0
    if gap and "gap_z" in signals:
        lower["gap_z"] = signals["gap_z"] * (gap + offset) / gap
    return {**signals, **lower}
