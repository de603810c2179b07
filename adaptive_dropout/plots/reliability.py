"""`reliability_figure`: whether a classifier is right as often as it is sure."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics.functional.classification import binary_calibration_error

from adaptive_dropout.plots.look import COLOURS, SIZE, finish, plain

__all__ = ["reliability_figure"]


def reliability_figure(
    confidences: Tensor | Sequence[float], correct: Tensor | Sequence[bool], title: str = "", bins: int = 15
) -> Figure:
    """Draw how often predictions were right over how sure the model was, above how many there were.

    Bars on the diagonal are calibrated, below it overconfident. The title holds the expected calibration error, the
    same that `Classifier` logs: the mean distance from the diagonal, weighted by the number of predictions.

    Args:
        confidences: the probability of each predicted class, (n,), in [0, 1].
        correct: whether it was the label, (n,).
        title: written above.
        bins: of equal width in [0, 1], at least 1.

    Raises:
        ValueError: no predictions, lengths that differ, a confidence outside [0, 1], or no bins.

    Source: Guo et al. (2017), figure 1 and equation 3.
    """
    sure, right = _check(confidences, correct, bins)
    error = float(binary_calibration_error(sure, right.long(), n_bins=bins, norm="l1"))
    edges = torch.linspace(0, 1, bins + 1)
    place = (torch.bucketize(sure, edges, right=True) - 1).clamp(max=bins - 1)  # a confidence of 1 is in the last bin
    counts = torch.bincount(place, minlength=bins)
    accuracy = torch.bincount(place, right.float(), minlength=bins) / counts  # NaN, so no bar, in an empty bin
    figure = Figure(figsize=(SIZE[0], 1.3 * SIZE[1]), layout="constrained")
    bars, numbers = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    left, width = edges[:-1].tolist(), 1 / bins
    bars.bar(left, accuracy.tolist(), width, align="edge", color=COLOURS[5], edgecolor="black", label="predictions")
    bars.plot([0, 1], [0, 1], "--", color="black", label="calibrated")
    bars.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    heading = f"expected calibration error {error:.4f}"
    bars.set_title("\n".join(filter(None, [plain(title, longest=70), heading])))
    numbers.bar(left, counts.tolist(), width, align="edge", color="0.6", edgecolor="black")
    numbers.set(xlabel="confidence", ylabel="predictions")
    for axes in (bars, numbers):
        finish(axes)
    return figure


def _check(confidences: Tensor | Sequence[float], correct: Tensor | Sequence[bool], bins: int) -> tuple[Tensor, Tensor]:
    sure = torch.as_tensor(confidences).detach().float().cpu()
    right = torch.as_tensor(correct).detach().bool().cpu()
    if bins < 1:
        raise ValueError(f"bins has to be at least 1, but got {bins}")
    if sure.ndim != 1 or sure.shape != right.shape or not len(sure):
        raise ValueError(
            "confidences and correct have to be (n,) of the same n > 0, "
            f"but got {tuple(sure.shape)} and {tuple(right.shape)}"
        )
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError(
            f"confidences have to be probabilities in [0, 1], but they reach from {sure.min():g} to {sure.max():g}"
        )
    return sure, right
