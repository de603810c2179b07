from __future__ import annotations

import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from adaptive_dropout.plots import reliability_figure


def test_bars_are_the_accuracy_of_their_bin() -> None:
    confidences = [0.1, 0.1, 0.6, 0.6, 0.6, 0.6, 1.0]
    correct = [False, True, True, True, True, False, True]
    bars, numbers = reliability_figure(confidences, correct, bins=4).axes
    heights = [bar.get_height() for bar in bars.patches]
    assert heights == pytest.approx([0.5, float("nan"), 0.75, 1.0], nan_ok=True)
    assert [bar.get_height() for bar in numbers.patches] == [2, 0, 4, 1]


def test_the_title_holds_the_error_that_the_classifier_logs() -> None:
    probabilities = torch.randn(500, 4).mul(3).softmax(-1)
    labels = torch.randint(4, (500,))
    confidences, predicted = probabilities.max(-1)
    title = reliability_figure(confidences, predicted == labels, title="MC").axes[0].get_title()
    expected = float(multiclass_calibration_error(probabilities, labels, num_classes=4, n_bins=15))
    assert title == f"MC\nexpected calibration error {expected:.4f}"


@pytest.mark.parametrize(
    ("confidences", "correct", "bins", "message"),
    [
        ([], [], 15, r"got \(0,\) and \(0,\)"),
        ([0.5], [True, False], 15, r"got \(1,\) and \(2,\)"),
        ([0.5, 1.5], [True, False], 15, "they reach from 0.5 to 1.5"),
        ([0.5, float("nan")], [True, False], 15, "probabilities in"),
        ([0.5], [True], 0, "bins has to be at least 1, but got 0"),
    ],
)
def test_what_is_no_probability_is_told(confidences: list[float], correct: list[bool], bins: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reliability_figure(confidences, correct, bins=bins)
