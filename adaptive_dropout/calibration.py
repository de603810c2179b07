"""`expected_calibration_error`: whether a classifier is right as often as it is sure."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

__all__ = ["expected_calibration_error"]


def expected_calibration_error(probabilities: Tensor, y: Tensor, bins: int = 15) -> Tensor:
    """Return the mean distance between confidence and accuracy over bins of confidence, 0-dim, in [0, 1].

    The bins have the same width and are weighted by their numbers of predictions, as in the error that `Classifier`
    logs. For samples, give their mean: ``mc_samples(model, x).softmax(-1).mean(0)``.

    >>> import torch
    >>> expected_calibration_error(torch.tensor([[0.75, 0.25], [0.75, 0.25]]), torch.tensor([0, 1]))
    tensor(0.2500)

    Args:
        probabilities: (n, classes), n > 0.
        y: labels, (n,), int64, in [0, classes).
        bins: at least 1.

    Raises:
        ValueError: other shapes, no prediction, values outside [0, 1], or no bins.

    Source: Guo et al. (2017), equation 3.
    """
    if bins < 1:
        raise ValueError(f"bins has to be at least 1, but got {bins}")
    if probabilities.dim() != 2 or y.shape != probabilities.shape[:1] or not len(y):
        raise ValueError(
            "probabilities have to be (n, classes) and y (n,) of the same n > 0, "
            f"but got {tuple(probabilities.shape)} and {tuple(y.shape)}"
        )
    # torchmetrics would take numbers outside [0, 1] for logits.
    low, high = probabilities.min().item(), probabilities.max().item()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"probabilities have to be in [0, 1], but reach from {low:g} to {high:g}; use logits.softmax(-1)"
        )
    return multiclass_calibration_error(probabilities, y, num_classes=probabilities.shape[1], n_bins=bins, norm="l1")
