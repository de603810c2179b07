"""Earlier names work, and say what they are called now."""

from __future__ import annotations

import pytest
import torch

import adaptive_dropout as ad
from adaptive_dropout import deprecated
from adaptive_dropout.callbacks import MCDropoutPredictor

RENAMED = {
    "class_spread": "class_uncertainty",
    "gaussian_spread": "gaussian_uncertainty",
    "output_spread": "output_uncertainty",
}
KEYS = {"noise": "aleatoric", "disagreement": "epistemic"}


def test_every_earlier_name_is_listed_here() -> None:
    assert set(deprecated.__all__) - {"warn_renamed"} == set(RENAMED)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_earlier_names_return_the_same_and_name_the_new_one(old: str, new: str) -> None:
    samples = torch.randn(5, 3, 2)
    with pytest.warns(DeprecationWarning, match=f"{old} is now called {new}") as caught:
        found = getattr(ad, old)(samples)
    assert caught[0].filename == __file__
    torch.testing.assert_close(
        {KEYS.get(name, name): value for name, value in found.items()}, getattr(ad, new)(samples)
    )


def test_the_earlier_argument_of_the_predictor_works() -> None:
    with pytest.warns(DeprecationWarning, match="the argument spread is now called uncertainty"):
        predictor = MCDropoutPredictor(spread=ad.class_uncertainty)
    assert predictor.uncertainty is ad.class_uncertainty
