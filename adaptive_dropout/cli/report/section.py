"""The section of one run: model and data, the rates found, the figures, and every decision with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from adaptive_dropout.cli.report.markup import escaped, facts, image, number, paragraph, table
from adaptive_dropout.cli.report.reported import Reported
from adaptive_dropout.plots import heat_map_figure, losses_figure, rates_figure
from adaptive_dropout.plots.look import LEGIBLE
from adaptive_dropout.tracking import Decision
from adaptive_dropout.tracking.telling import telling

__all__ = ["section"]

ROWS = 2000  # of decisions; more are a long way to scroll
LISTED = 50  # steps of rewinds


def section(reported: Reported, anchor: str) -> str:
    """Return the section of one run; links lead to it by ``#anchor``."""
    parts = [paragraph(note, "note") for note in reported.notes]
    parts += [facts(_summary(reported) | reported.facts()), _figures(reported)]
    parts += ["<h3>Rates</h3>", _rates(reported), "<h3>Decisions</h3>", _decisions(reported)]
    return f'<section id="{anchor}"><h2>{escaped(reported.name)}</h2>{"".join(parts)}</section>'


def _summary(reported: Reported) -> dict[str, str]:
    run, best = reported.run, reported.best
    count = f"{len(run.decisions)} decisions in {run.decisions[-1].step if run.decisions else run.step} steps"
    values = {"best validation": "none yet" if best is None else f"{number(best[1])} at step {best[0]}"}
    ends = f"{spread(run.rates)} at the start, {spread(run.final_rates())} at the end"
    values["rates"] = ends if best is None else f"{spread(reported.best_rates)} at the best validation, {ends}"
    for name, back in (("rewinds", reported.rewinds), ("restarts", reported.restarts)):
        more = f", ... and {len(back) - LISTED} more" if len(back) > LISTED else ""
        where = f" (at steps {', '.join(map(str, back[:LISTED]))}{more})" if back else ""
        values[name] = f"{len(back)}{where}"
    return values | {"length": count}


def _figures(reported: Reported) -> str:
    history, name = reported.history, reported.name
    rewinds, restarts = reported.rewinds, reported.restarts
    images = [
        image(rates_figure(history, rewinds, restarts=restarts), f"Dropout rates of {name} over the optimizer steps")
    ]
    if history.losses():
        images.append(
            image(
                losses_figure(history, rewinds, restarts=restarts),
                f"Training and validation loss of {name}, and the gap",
            )
        )
    if len(history.rate_names()) > LEGIBLE:
        images.append(
            image(
                heat_map_figure(history, rewinds, restarts=restarts),
                f"Dropout rate of each layer of {name} as a colour",
            )
        )
    return f'<div class="figures">{"".join(images)}</div>'


def _rates(reported: Reported) -> str:
    rows = [
        (
            name,
            *("" if p is None else f"{p:.3f}" for p in (s.start, reported.best_rates.get(name), s.end, s.min, s.max)),
        )
        for name, s in reported.history.summary().items()
    ]
    return table(["layer", "start", "at the best", "end", "lowest", "highest"], rows)


def _decisions(reported: Reported) -> str:
    decisions = reported.run.decisions
    if not decisions:
        return paragraph("None: the run ended before its first validation.")
    head = ["step", "validation", "training", "gap", "rates", "", "reason"]
    shown = [decisions[place] for place in telling(decisions, ROWS)]
    marked = [place for place, decision in enumerate(shown) if decision.rewind or decision.restart]
    note = f"{len(shown)} of {len(decisions)} decisions: rewinds and restarts, and the others evenly."
    return (paragraph(note, "note") if len(shown) < len(decisions) else "") + table(head, map(_row, shown), marked)


def _row(decision: Decision) -> tuple[str, ...]:
    losses = (decision.signals.get("val_loss"), decision.signals.get("train_loss"), decision.gap)
    before, after = spread(decision.before), spread(decision.after)
    moved = before if decision.before == decision.after else f"{before} → {after}"
    event = ["best"] * decision.improved + ["rewind"] * decision.rewind + ["restart"] * decision.restart
    return (str(decision.step), *map(number, losses), moved, ", ".join(event), decision.reason)


def spread(rates: Mapping[str, float]) -> str:
    """Return the lowest and the highest of ``rates``, or one if they are equal to three digits; "" for no rates.

    >>> spread({"a": 0.1, "b": 0.25})
    '0.100-0.250'
    """
    ends = dict.fromkeys(f"{end(rates.values()):.3f}" for end in (min, max)) if rates else ()
    return "-".join(ends)
