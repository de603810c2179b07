"""`uncertainty_figure`: how uncertain predictions are, such as right ones beside wrong ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from adaptive_dropout.plots.look import SIZE, finish, looks, plain

__all__ = ["uncertainty_figure"]


def uncertainty_figure(
    groups: Mapping[str, Tensor | Sequence[float]], quantity: str = "uncertainty", title: str = "", bins: int = 30
) -> Figure:
    """Draw a histogram of the uncertainty of the predictions in each group, as shares of the group.

    All groups have the same bins, and a large group does not hide a small one, so heights can be compared.

    Args:
        groups: ``{name: uncertainties}``, each (n,), such as the entropies of right and of wrong predictions.
        quantity: what was measured, with its unit, such as "predictive entropy in nats".
        title: written above.
        bins: of equal width between the lowest and the highest value, at least 1.

    Raises:
        ValueError: no group, an empty group, a value that is NaN or infinite, or no bins.
    """
    values = {name: torch.as_tensor(group).detach().double().flatten().cpu() for name, group in groups.items()}
    if not values:
        raise ValueError("groups has to name at least one group of uncertainties, but got {}")
    if bins < 1:
        raise ValueError(f"bins has to be at least 1, but got {bins}")
    for name, group in values.items():
        if not len(group) or not group.isfinite().all():
            raise ValueError(f"group {name!r} has to hold finite values, at least one; got {len(group)} values")
    everything = torch.cat(list(values.values()))
    low, high = float(everything.min()), float(everything.max())
    edges = torch.linspace(low, high if high > low else low + 1, bins + 1).tolist()
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for (name, group), look in zip(values.items(), looks(), strict=False):
        share = torch.full_like(group, 1 / len(group)).tolist()
        label = f"{plain(name)} ({len(group)})"
        axes.hist(group.tolist(), edges, weights=share, histtype="stepfilled", alpha=0.25, color=look["color"])
        axes.hist(group.tolist(), edges, weights=share, histtype="step", linewidth=1.6, label=label, **look)
    axes.set(xlabel=plain(quantity, longest=70), ylabel="share of the group", title=plain(title, longest=70))
    finish(axes)
    return figure
