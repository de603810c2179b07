"""What is stored of rates that hardly move: in the file, in memory and in checkpoints, beside the form of old files."""

from __future__ import annotations

import base64
import json
import math
import random
import zlib
from collections.abc import Sequence
from typing import Any

import pytest

from adaptive_dropout.tracking import Decision, Run, replay
from adaptive_dropout.tracking.compact import compact, expand
from adaptive_dropout.tracking.packed import BLOCK, PackedDecisions
from adaptive_dropout.tracking.summary import decisions_table
from tests.tracking.test_run import CONTROLLER, recorded

NAMES = [f"blocks.{number}.attention.dropout" for number in range(1000)]


def whole(decision: Decision) -> dict[str, Any]:
    """The decision as earlier versions stored it."""
    kept = {name: value for name, value in vars(decision).items() if name not in ("controller", "forgot")}
    signals = {name: v if math.isfinite(v) else str(v) for name, v in decision.signals.items()}
    return kept | {"signals": signals}


def told(decisions: Sequence[Decision]) -> list[str]:
    """Decisions as text: NaN is not equal to itself."""
    return [json.dumps(whole(decision)) for decision in decisions]


def deep(count: int, moved: int) -> Run:
    """A run of a thousand layers, of which some move at each decision."""
    run, draw = (
        Run("deep", {"class_path": "a", "init_args": {}}, "val_loss", dict.fromkeys(NAMES, 0.1), {}),
        random.Random(0),
    )
    known = run.rates
    for step in range(count):
        after = {**known, **{name: draw.random() for name in draw.sample(NAMES, moved)}}
        run.decisions.append(Decision(step, {"val_loss": draw.random()}, known, after))
        known = after
    return run


def test_files_of_earlier_versions_give_the_same_run_and_replay() -> None:
    run = recorded()
    lines = [run.lines()[0], *(json.dumps(whole(decision)) for decision in run.decisions)]
    old, broken = Run.from_lines(lines)
    assert broken is None
    assert told(old.decisions) == told(run.decisions)
    assert [state.rates for state in replay(old, CONTROLLER)[1:]] == [decision.after for decision in run.decisions]


def test_checkpoints_of_earlier_versions_give_the_same_run() -> None:
    run = recorded()
    old = Run.from_dict(run.header() | {"decisions": [whole(decision) for decision in run.decisions]})
    assert told(old.decisions) == told(run.decisions)
    assert old.lines() == run.lines()


def test_a_file_may_change_its_form_in_the_middle() -> None:
    run = recorded()
    old = [json.dumps(whole(decision)) for decision in run.decisions]
    twin, broken = Run.from_lines([run.lines()[0], *old[:80], *run.lines()[81:120], *old[119:]])
    assert broken is None
    assert told(twin.decisions) == told(run.decisions)


@pytest.mark.parametrize(("moved", "most"), [(0, 150), (1, 220), (1000, 22_000)])
def test_a_line_takes_the_space_of_what_moved(moved: int, most: int) -> None:
    run = deep(5, moved)
    assert max(map(len, run.lines()[1:])) < most
    twin, _ = Run.from_lines(run.lines())
    assert told(twin.decisions) == told(run.decisions)


def test_layers_that_share_a_rate_are_one_number() -> None:
    known, shared = dict.fromkeys(NAMES, 0.1), dict.fromkeys(NAMES, 1 / 3)
    assert compact(shared, known) == 1 / 3
    assert expand(1 / 3, known, "after") == shared


def test_a_decision_from_other_rates_than_those_of_the_last_says_so() -> None:
    run = recorded()
    del run.decisions[3:5]
    assert "before" not in json.loads(run.lines()[3])
    run.decisions[3:4] = [Decision(500, {}, {"a": 0.5, "b.c": 0.1}, {"a": 0.5, "b.c": 0.2})]
    assert json.loads(run.lines()[4]) | {"before": [0.5, 0.1], "after": 0} == json.loads(run.lines()[4]) | {"after": 0}
    assert told(Run.from_lines(run.lines())[0].decisions) == told(run.decisions)


def test_packed_decisions_are_the_same_at_every_place() -> None:
    run = deep(40, 1000)
    packed = PackedDecisions(run.rates)
    lines = [packed.append(decision) for decision in run.decisions]
    assert lines == run.lines()[1:]
    assert len(packed.to_list()) > 2, "all decisions are in one block"
    assert told(packed) == told(run.decisions)
    assert told([packed[place] for place in range(-40, 40)]) == told([run.decisions[place] for place in range(-40, 40)])
    assert told(packed[7:30:5]) == told(run.decisions[7:30:5])
    again = PackedDecisions.from_list(run.rates, json.loads(json.dumps(packed.to_list())))
    assert told(again) == told(run.decisions)
    assert told(PackedDecisions.from_list(run.rates, packed.to_list()[-1:])) == told(run.decisions[-len(again._open) :])
    with pytest.raises(IndexError):
        packed[40]


def test_a_long_run_takes_few_bytes_a_decision_in_a_checkpoint() -> None:
    packed, draw, rates = PackedDecisions({"a": 0.1, "b": 0.1}), random.Random(0), {"a": 0.1, "b": 0.1}
    for step in range(3000):
        losses = {"train_loss": draw.random(), "val_loss": draw.random(), "step": step, "total_steps": 3000}
        packed.append(Decision(step, losses, rates, rates))
    assert len(json.dumps(packed.to_list())) < 70 * 3000


def bomb() -> str:
    return base64.b64encode(zlib.compress(b"[" + b" " * (BLOCK + 2**25))).decode()


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("no base64", "[Bb]ase64"), ("aaaa", "its decisions cannot be unpacked"), (bomb(), "too large"),
        (PackedDecisions({"c": 0.1}).to_list, "mapping|indices|subscriptable|iterable"),
        (base64.b64encode(zlib.compress(b"[2.0, 0.1]")).decode(), "rates\\['a'\\] has to be between 0 and 1"),
        (base64.b64encode(zlib.compress(b"[0.1]")).decode(), "rates has to have 2 rates"),
    ],
)  # fmt: skip
def test_what_is_no_block_of_decisions_is_refused(part: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        PackedDecisions.from_list({"a": 0.1, "b": 0.1}, [part])


def test_the_table_of_a_deep_run_has_the_ends_of_the_rates() -> None:
    columns, rows = decisions_table(deep(3, 1000))
    assert columns[-4:] == ["before/lowest", "after/lowest", "before/highest", "after/highest"]
    after = deep(3, 1000).decisions[2].after.values()
    assert (rows[2][-3], rows[2][-1]) == (min(after), max(after))
