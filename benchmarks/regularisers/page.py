"""How the results are shown: what each regulariser does, what pairs do, and the best combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from benchmarks.regularisers.factorial import Losses, interaction, joint_effect, main_effect
from benchmarks.regularisers.figures import effects_figures
from benchmarks.regularisers.present import losses_of, present_in, regularisers
from benchmarks.study.study import Study
from benchmarks.supervised.compare import Spread, paired, summarised
from benchmarks.supervised.markdown import Rows, markdown, shown
from benchmarks.supervised.publish import Page
from benchmarks.supervised.training import TrainedRow

__all__ = ["PAGE"]

BEST = 10
"""Combinations that are listed."""

_INTRODUCTION = """Six regularisers, each absent or present, in every combination: a full factorial. Test NLL in nats
per example of the weights with the lowest validation loss; a difference below 0 is better. An effect is the mean
difference between runs of the same seed that differ in that regulariser, or pair, alone, in brackets its standard
error. An interaction above 0 means that two help less together than the sum of what each does."""


def _tables(study: Study, rows: Rows) -> str:
    sections = []
    for task in study.tasks:
        if found := {name: there for (where, name), there in rows.items() if where == task.name}:
            losses, names = losses_of(study, found), regularisers(study)
            lines = [
                *_effects(losses, names),
                "",
                *_pairs(losses, names),
                "",
                *_best(study, found),
                _count(study, found),
            ]
            sections.append("\n".join([f"### {study.name}: {task.name}\n", *lines]))
    return "\n\n".join(sections)


def _effects(losses: Losses, names: Sequence[str]) -> list[str]:
    alone = {key: loss for key, loss in losses.items() if len(key[0]) <= 1}
    body = [[name, _told(main_effect(losses, name)), _told(main_effect(alone, name))] for name in names]
    return list(markdown(("regulariser", "effect", "effect alone"), body))


def _pairs(losses: Losses, names: Sequence[str]) -> list[str]:
    pairs = list(combinations(names, 2))
    body = [
        [f"{a} + {b}", _told(joint_effect(losses, frozenset((a, b)))), _told(interaction(losses, a, b))]
        for a, b in pairs
    ]
    return list(markdown(("pair", "effect of both", "interaction"), body))


def _best(study: Study, found: Mapping[str, Sequence[TrainedRow]]) -> list[str]:
    present = {method.name: present_in(method) for method in study.methods}
    nothing = next((rows for name, rows in found.items() if not present[name]), [])
    ranked = sorted(found, key=lambda name: summarised(found[name], lambda row: row.val_loss)[0])
    body = []
    for name in ranked[:BEST]:
        loss = shown(summarised(found[name], lambda row: row.test_loss), 4)
        accuracy = shown(summarised(found[name], lambda row: 100 * row.test_accuracy), 2)
        against = _told(paired(found[name], nothing, lambda row: row.test_loss))
        body.append([" + ".join(sorted(present[name])) or "nothing", str(len(found[name])), accuracy, loss, against])
    return list(markdown(("lowest validation losses", "seeds", "accuracy, %", "NLL", "NLL minus nothing's"), body))


def _told(spread: Spread | None) -> str:
    return "not run" if spread is None else shown(spread, 4, "+")


def _count(study: Study, found: Mapping[str, Sequence[TrainedRow]]) -> str:
    done = sum(map(len, found.values()))
    return f"\n{done} of {len(study.methods) * len(study.seeds)} runs."


PAGE = Page("regularisers", "Which regularisers help beside dropout", _INTRODUCTION, _tables, effects_figures)
"""The page of this question."""
