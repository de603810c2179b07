"""A stall of validation: how long until it is one, whether it is overfitting, and how much more noise it calls for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adaptive_dropout.controllers.reading import read_optional, read_signal
from adaptive_dropout.probability import clip

__all__ = ["overfits", "patience", "stride"]

LEAST = 5  # validations, where the best weights are young
SHORT, LONG = 0.5, 1.5  # logits


def patience(age: float, interval: float, fruitless: int, left: float) -> float:
    """Return after how many optimizer steps without a better validation loss it has stalled.

    Half the age of the best weights, at least five validations, and twice as long after each rewind that brought no new
    best; but no more than a third of the steps that are left, so that a run does not wait to its end.

    Args:
        age: optimizer steps that the best weights have been trained for.
        interval: optimizer steps from one validation to the next.
        fruitless: rewinds since the best validation.
        left: optimizer steps until the run ends.

    >>> patience(400, 20, 0, 3000), patience(400, 20, 3, 3000), patience(40, 20, 0, 3000)
    (200.0, 1000.0, 100)
    """
    least = LEAST * interval
    return max(least, min(max(least, age / 2) * 2.0**fruitless, left / 3))


def overfits(last_val_loss: float, signals: Mapping[str, float]) -> bool:
    """Return whether more noise would help weights that validate like this.

    The gap between validation and clean loss has to be significant, and the training loss, noise and all, below
    validation's, or the noise is too strong as it is. And training has to have gone on since the best validation: the
    clean loss fell significantly, or there was little left of it to fall, the training loss below half of validation's.

    Args:
        last_val_loss: that of the validation before.
        signals: those of this validation. What cannot be compared is missing: without ``train_loss`` it does not count,
            without ``gap_z`` it is enough that training went on, which nothing but ``clean_drop_z`` then says.
    """
    reference = (last_val_loss + read_signal(signals, "val_loss")) / 2
    train_loss = read_optional(signals, "train_loss")
    if train_loss is not None and train_loss > reference:
        return False
    went_on = signals.get("clean_drop_z", 0.0) > 2
    if "gap_z" not in signals:
        return went_on
    little_left = train_loss is not None and reference > 0 and train_loss < reference / 2
    return signals["gap_z"] > 2 and (went_on or little_left)


def stride(recent: Sequence[float], best: float, signals: Mapping[str, float]) -> float:
    """Return by how many logits to raise: one for each tenth of what was learned that validation has lost since.

    Where the rate is nearly right, validation stays near its best while training goes on; where it is much too low, it
    soon loses what it had gained over ``trivial_loss``. In [0.5, 1.5], and 1 where ``trivial_loss`` is not known.

    Args:
        recent: the last validation losses.
        best: the lowest.
        signals: those of this validation.

    >>> stride([0.7, 0.8], best=0.5, signals={"trivial_loss": 3.0})
    1.0
    """
    learned = signals.get("trivial_loss", best) - best
    if learned <= 0:
        return 1.0
    lost = sum(recent) / len(recent) - best
    return clip(10 * lost / learned, SHORT, LONG)
