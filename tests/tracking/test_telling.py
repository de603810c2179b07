from __future__ import annotations

import pytest

from adaptive_dropout.tracking import Decision
from adaptive_dropout.tracking.telling import telling


def decided(count: int, back: int) -> list[Decision]:
    rates = {"a": 0.1}
    return [Decision(n, {}, rates, rates, n == 444, n % back == 7, n % 5000 == 8) for n in range(count)]


def test_few_decisions_are_all_shown() -> None:
    assert telling(decided(100, 10), 100) == list(range(100))


def test_of_many_every_rewind_restart_and_best_is_shown() -> None:
    decisions = decided(20_000, 100)
    shown = telling(decisions, 1000)
    back = {place for place, decision in enumerate(decisions) if decision.rewind or decision.restart}
    assert {0, 444, 19_999} | back | {place - 1 for place in back} <= set(shown)
    assert 500 < len(shown) <= 1000


@pytest.mark.parametrize("back", [2, 1_000_000])
def test_it_is_never_more_than_asked_for_by_much(back: int) -> None:
    assert 900 < len(telling(decided(20_000, back), 1000)) <= 1010
