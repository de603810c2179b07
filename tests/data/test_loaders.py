"""Two messages of Lightning are ignored between `silence` and `unsilence`, and no others."""

from __future__ import annotations

import warnings

import pytest
from lightning.fabric.utilities.warnings import PossibleUserWarning

from adaptive_dropout.data.loaders import silence, unsilence

pytestmark = pytest.mark.filterwarnings("error")

MESSAGES = [
    "The 'train_dataloader' does not have many workers which may be a bottleneck.",
    "The number of training batches (17) is smaller than the logging interval Trainer(log_every_n_steps=50).",
]


@pytest.mark.parametrize("message", MESSAGES)
def test_the_message_is_ignored_only_in_between(message):
    silence()
    warnings.warn(message, PossibleUserWarning, stacklevel=1)
    unsilence()
    with pytest.raises(PossibleUserWarning):
        warnings.warn(message, PossibleUserWarning, stacklevel=1)


def test_other_warnings_are_not_ignored():
    silence()
    with pytest.raises(PossibleUserWarning):
        warnings.warn("The dataloader is empty", PossibleUserWarning, stacklevel=1)
    with pytest.raises(UserWarning):
        warnings.warn(MESSAGES[0], UserWarning, stacklevel=1)


def test_twice_is_as_once_and_filters_added_in_between_stay():
    before = list(warnings.filters)
    silence()
    silence()
    warnings.filterwarnings("ignore", "added by someone else", UserWarning)
    unsilence()
    assert list(warnings.filters)[1:] == before
    warnings.warn("added by someone else", UserWarning, stacklevel=1)
    unsilence()
