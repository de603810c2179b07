"""The table of the rules: what each lost to fixed rates of the same seed, and the rates it found for each place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adaptive_dropout.probability import logit
from benchmarks.placement.places import ALL, PLACES, PlacedRow
from benchmarks.placement.rules import RULES
from benchmarks.report.markdown import show, table
from benchmarks.report.page import list_missing
from benchmarks.study.statistics import mean_and_error, paired_difference, summarize
from benchmarks.study.study import Choice, Study

__all__ = ["has_rules", "rules_table", "separation"]

LEAST = 0.001  # p: below it a rule does not go, and no dropout counts as this much

EXPLANATION = """One run of each method, the highest test NLL first; differences are of pairs of the same seed, below 0
is better. The rates are those of the lowest validation loss, means over seeds. *apart*: the mean logit of conv2 and
dense minus that of input and conv1; by the sweep it should be as high as it can be."""


def has_rules(study: Study) -> bool:
    """Return whether a method of ``study`` steers the rates."""
    return any(method.kind in RULES for method in study.methods)


def rules_table(study: Study, found: Mapping[str, Sequence[PlacedRow]]) -> list[str]:
    """Return the lines of the table; ``found`` has rows by the name of the method. None if there are no rows."""
    if not found:
        return []
    references = _references(study, found)
    header = ["method", "seeds", "test NLL", *(f"minus {name}" for name in references), *PLACES, "apart"]
    kinds = {method.name: method.kind for method in study.methods}
    order = sorted(found, key=lambda name: -_mean_loss(found[name]))
    body = [_line(name, found, references, kinds[name] in RULES) for name in order]
    return [EXPLANATION, "", *table(header, body), *list_missing(study, found)]


def separation(row: PlacedRow) -> float:
    """Return how many logits the rates of conv2 and dense are above those of input and conv1."""
    first, second, third, fourth = (logit(min(max(p, LEAST), 1 - LEAST)) for p in row.best_rates)
    return (third + fourth - first - second) / 2


def _line(name: str, found: Mapping[str, Sequence[PlacedRow]], references: Sequence[str], is_rule: bool) -> list[str]:
    rows = found[name]
    cells = [name, str(len(rows)), show(summarize(rows, _test_loss), 4)]
    for reference in references:
        difference = None if reference == name else paired_difference(rows, found[reference], _test_loss)
        cells.append("" if difference is None else show(difference, 4, "+"))
    cells += [f"{mean_and_error([row.best_rates[place] for row in rows])[0]:.2f}" for place in range(len(PLACES))]
    return [*cells, show(summarize(rows, separation), 1, "+") if is_rule else ""]


def _references(study: Study, found: Mapping[str, Sequence[PlacedRow]]) -> list[str]:
    """Return the best uniform rate and the best single place, by mean validation loss, and the default rule."""
    there = [method for method in study.methods if method.name in found]
    uniform = [method for method in there if method.settings.get("places") == ALL]
    single = [method for method in there if method.settings.get("places") in PLACES]
    default = [method for method in there if method.kind == "default"]
    return [min(some, key=lambda method: _val_loss(found, method)).name for some in (uniform, single, default) if some]


def _val_loss(found: Mapping[str, Sequence[PlacedRow]], method: Choice) -> float:
    return summarize(found[method.name], lambda row: row.val_loss)[0]


def _mean_loss(rows: Sequence[PlacedRow]) -> float:
    return summarize(rows, _test_loss)[0]


def _test_loss(row: PlacedRow) -> float:
    return row.test_loss
