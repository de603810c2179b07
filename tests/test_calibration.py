from __future__ import annotations

import pytest
import torch

from adaptive_dropout.calibration import expected_calibration_error


def test_the_error_is_the_distance_between_confidence_and_accuracy_weighted_by_count() -> None:
    sure = torch.tensor([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 30)
    y = torch.tensor([0] * 8 + [1] * 2 + [0] * 21 + [1] * 9)  # right 8 of 10, and 21 of 30
    wanted = 0.25 * abs(0.9 - 0.8) + 0.75 * abs(0.6 - 0.7)
    torch.testing.assert_close(expected_calibration_error(sure, y).item(), wanted, atol=1e-6, rtol=0)
    assert expected_calibration_error(sure, y, bins=1).item() == pytest.approx(abs(0.675 - 29 / 40), abs=1e-6)


def test_labels_drawn_from_the_probabilities_are_calibrated() -> None:
    probabilities = torch.tensor([[0.7, 0.2, 0.1]]).expand(20_000, 3)
    y = torch.multinomial(probabilities, 1).squeeze(1)
    assert expected_calibration_error(probabilities, y).item() < 5 * (0.7 * 0.3 / 20_000) ** 0.5


@pytest.mark.parametrize(
    ("probabilities", "y", "bins", "message"),
    [
        (torch.randn(5, 3) * 9, torch.zeros(5, dtype=torch.long), 15, r"in \[0, 1\], but reach from"),
        (torch.ones(5, 1), torch.zeros(4, dtype=torch.long), 15, r"have to be \(n, classes\) and y \(n,\)"),
        (torch.ones(0, 2), torch.zeros(0, dtype=torch.long), 15, "n > 0"),
        (torch.ones(5, 1), torch.zeros(5, dtype=torch.long), 0, "bins has to be at least 1, but got 0"),
    ],
)
def test_bad_input_is_refused(probabilities: torch.Tensor, y: torch.Tensor, bins: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(probabilities, y, bins)
