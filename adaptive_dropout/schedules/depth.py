"""A schedule for each layer of a network: p grows with time, and with depth."""

from __future__ import annotations

from adaptive_dropout.checks import check_count, check_p
from adaptive_dropout.schedules.published import CurriculumSchedule

__all__ = ["progressive_layer_dropping"]


def progressive_layer_dropping(
    layers: int, p: float = 0.5, steps: int | float = 1.0, gamma: float = 100.0
) -> list[CurriculumSchedule]:
    """Return a schedule for each layer: early steps and early layers are skipped seldom, late ones often.

    Layer l of L, counted from 1, has (l / L) p (1 - exp(-gamma x)), with x the share of the horizon that is done. The
    mean over the layers is then p (L + 1) / (2 L), so that the default soon saves about a quarter of the layers.

    >>> from adaptive_dropout import LayerDrop
    >>> from torch import nn
    >>> blocks = LayerDrop([nn.Linear(4, 4) for _ in range(4)], progressive_layer_dropping(4, steps=1000), rescale=True)
    >>> [round(schedule(100), 3) for schedule in progressive_layer_dropping(4, steps=1000)]
    [0.125, 0.25, 0.375, 0.5]

    Args:
        layers: how many there are.
        p: what the last layer arrives at, in [0, 1]; the paper's 1 - theta.
        steps: the horizon T, an int of optimizer steps or a float in (0, 1] of the run.
        gamma: how sharp the rise is, above 0. It counts per horizon: the paper's gamma, which is per step, times T.

    Source: Zhang and He (2020), "Accelerating training of transformer-based language models with progressive layer
    dropping"; DeepSpeed recommends theta = 0.5 and a gamma of 0.001 a step.
    """
    check_p(p)
    count = check_count(layers, "layers")
    return [CurriculumSchedule(p * (index + 1) / count, steps, gamma) for index in range(count)]
