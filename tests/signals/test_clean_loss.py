"""Scores of the clean loss: which are given, and since when its fall is measured."""

from __future__ import annotations

import pytest

from adaptive_dropout.signals import CleanLoss
from adaptive_dropout.signals.clean_loss import z_score


def test_a_difference_without_a_known_error_has_no_score() -> None:
    assert z_score(1.0) is None
    assert z_score(1.0, None, None) is None


def test_one_known_error_is_enough() -> None:
    assert z_score(1.0, None, 0.5) == 2.0
    assert z_score(-1.0, 0.3, 0.4) == pytest.approx(-2.0)


def test_parts_that_agree_exactly_have_an_error_which_is_0() -> None:
    assert z_score(1.0, 0.0) == 1e6
    assert z_score(0.0, 0.0) == 0.0


def test_a_single_part_has_a_gap_only_where_validation_has_an_error() -> None:
    assert CleanLoss().signals([0.5], [1.0]) == {"clean_loss": 0.5}
    assert CleanLoss().signals([0.5], [0.96, 1.04]) == {"clean_loss": 0.5, "gap_z": pytest.approx(0.5 / 0.04)}


def test_the_fall_is_measured_from_the_first_losses_on_where_none_are_marked() -> None:
    clean = CleanLoss()
    assert clean.signals([0.5, 0.7], [1.0])["clean_drop_z"] == 0.0
    assert clean.signals([0.4, 0.5], [1.0])["clean_drop_z"] == pytest.approx(3.0)
    clean.mark()
    assert clean.signals([0.4, 0.5], [1.0])["clean_drop_z"] == 0.0
