"""What the results say as Markdown: steered rates against the grid, the worst first, then every mean there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.beyond.compare import Gap, gaps, means
from benchmarks.beyond.training import Row
from benchmarks.study.cells import rows_of
from benchmarks.study.study import Study

__all__ = ["lines", "publish"]

Rows = Mapping[tuple[str, str], Sequence[Row]]

HEAD = """Written by `python -m benchmarks.beyond`. Every run trains as many steps, validates 50 times and is tested
at its lowest validation loss, so all of them, those without dropout too, stop early. Losses are nats, for `factors`
squared errors (least possible 0.25). The reference of a seed is the fixed rate, none included, with the lowest
validation loss of that seed: what a grid search would choose. Differences are test losses, mean and standard error
over seeds; above 0 is worse; **bold** where it is worse by more than two standard errors, or where there is one seed
and it is worse. `factors` are made up, for want of ratings; `patches` are scikit-learn's digits."""

CLOSED = """With and without noise: the same model with dropout, and with the penalty that dropout comes to on average.
For `logistic` that is an approximation of second order, for `factors` it is exact."""

PENALTY = "-penalty"


def publish(studies: Sequence[Study], rows: Sequence[Row], folder: Path) -> None:
    """Write ``table.md`` into ``folder``."""
    (folder / "table.md").write_text("\n".join(lines(studies, rows)) + "\n")


def lines(studies: Sequence[Study], rows: Sequence[Row]) -> Iterator[str]:
    """Yield the tables of every study, line by line."""
    yield from ("# Dropout beyond dense networks", "", *HEAD.splitlines())
    for study in studies:
        found = rows_of(study, rows)
        yield from _section(f"{study.name}: against the grid", _against_the_grid(gaps(found)))
        yield from _section(f"{study.name}: mean test losses", _losses(study, found))
        yield from _section(f"{study.name}: noise and its closed form", _closed(means(found)))
    yield from ("", "Measured on:", "")
    for place in dict.fromkeys((row.machine, row.versions, row.commit) for row in rows):
        yield f"- {'; '.join(place)}"


def _section(title: str, body: Iterator[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "", *body)


def _against_the_grid(found: Sequence[Gap]) -> Iterator[str]:
    yield "| task | method | difference | standard error | seeds | reference's p, by seed | final p | times as long |"
    yield "|---|---|---|---|---|---|---|---|"
    for gap in sorted(found, key=lambda gap: (not gap.is_worse, -gap.mean)):
        shown = f"**{gap.mean:+.4f}**" if gap.is_worse else f"{gap.mean:+.4f}"
        chosen = " ".join(f"{p:g}" for p in gap.chosen)
        final = " ".join(f"{p:.2f}" for p in gap.final)
        yield (
            f"| {gap.task} | {gap.method} | {shown} | {gap.error:.4f} | {gap.seeds} | {chosen} | {final} "
            f"| {gap.seconds:.2f} |"
        )


def _losses(study: Study, found: Rows) -> Iterator[str]:
    names = [method.name for method in study.methods]
    yield f"| task | constant prediction | {' | '.join(names)} |"
    yield f"|{'---|' * (len(names) + 2)}"
    table = means(found)
    for task in study.tasks:
        there = [row for (name, _), rows in found.items() if name == task.name for row in rows]
        if there:
            trivial = sum(row.trivial_loss for row in there) / len(there)
            cells = (f"{table[task.name, name]:.4f}" if (task.name, name) in table else "" for name in names)
            yield f"| {task.name} | {trivial:.4f} | {' | '.join(cells)} |"


def _closed(table: Mapping[tuple[str, str], float]) -> Iterator[str]:
    yield from (*CLOSED.splitlines(), "", "| task | method | noise | closed form | difference |")
    yield "|---|---|---|---|---|"
    both = [(task, method) for task, method in table if (task + PENALTY, method) in table]
    for task, method in sorted(both, key=lambda key: -abs(table[key[0] + PENALTY, key[1]] - table[key])):
        noise, closed = table[task, method], table[task + PENALTY, method]
        yield f"| {task} | {method} | {noise:.4f} | {closed:.4f} | {closed - noise:+.4f} |"
