"""`ResumableLoader`: goes on in the middle of an epoch with the batches of the unbroken run."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from adaptive_dropout.data.resumable import ResumableLoader


def loader(kind: type[DataLoader[Any]] = ResumableLoader, **options: Any) -> Any:
    data = TensorDataset(torch.arange(10))
    return kind(data, 4, shuffle=True, generator=torch.Generator().manual_seed(3), **options)


def epoch(batches: Any) -> list[list[int]]:
    return [batch[0].tolist() for batch in batches]


def test_its_batches_are_those_of_a_plain_loader() -> None:
    ours, plain = loader(), loader(DataLoader)
    for _ in range(3):
        assert epoch(ours) == epoch(plain)


@pytest.mark.parametrize(("given", "extra"), [(0, 0), (1, 0), (2, 0), (3, 0), (0, 2), (3, 2)])
def test_it_goes_on_after_any_batch_and_between_epochs_whatever_was_iterated(given: int, extra: int) -> None:
    unbroken = loader()
    epoch(unbroken)
    following = iter(unbroken)
    list(islice(following, given))
    state = unbroken.state_dict()
    left = epoch(following) or epoch(unbroken)  # a finished epoch is followed by a new one
    resumed = loader()
    resumed.load_state_dict(state)
    for _ in range(extra):
        iter(resumed)
    torch.manual_seed(8)
    before = torch.get_rng_state()
    assert resumed.state_dict() == state
    assert epoch(resumed) == left
    assert torch.equal(torch.get_rng_state(), before)
    assert epoch(resumed) == epoch(unbroken)


@pytest.mark.slow
def test_workers_go_on_too() -> None:
    unbroken = loader(num_workers=1, persistent_workers=True)
    following = iter(unbroken)
    next(following)
    resumed = loader(num_workers=1, persistent_workers=True)
    resumed.load_state_dict(unbroken.state_dict())
    assert epoch(resumed) == epoch(following)
    assert epoch(resumed) == epoch(unbroken)


def test_after_a_shortened_epoch_an_iterator_that_gives_nothing_is_followed_by_the_next_epoch() -> None:
    unbroken, resumed = loader(), loader()
    shortened = iter(unbroken)
    list(islice(shortened, 2))  # of 3, as with limit_train_batches
    resumed.generator.set_state(unbroken.generator.get_state())  # as the data module does
    resumed.load_state_dict(unbroken.state_dict())
    iter(resumed)  # of the epoch that is over
    assert resumed.state_dict()["given"] == 2
    assert epoch(resumed) == epoch(unbroken)
