"""Write what ``compare.csv`` says, beside the rows of the study, as Markdown: what loses first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmarks.control.compare import Cells, Difference, cost_ratio, difference, oracle_difference
from benchmarks.learned.compare_methods import BESIDE, DEFAULTS, LEARNED, NORMS, PENALTIES, TASKS
from benchmarks.learned.compare_statistics import Tally, chosen_norms, compared_to, complete, tally

__all__ = ["markdown"]

INTRODUCTION = """# Learned rates beside the default controller

Written by `python -m benchmarks.learned.compare`. Networks of two hidden layers of 256 units; test loss in nats per
example of the weights with the lowest validation loss, minus that of the grid's choice: of ten fixed rates the one with
the lowest validation loss, for each task and seed. Below 0 is better than the grid. In brackets the standard error:
over paired seeds for a task, over tasks for a mean; one seed has none. A task is won or lost by more than .02, which
two runs of one rate differ by. Learned rates start at p = .1 (sparse layers at ln sigma^2 = -10), each is one run.
`oracle` is the fixed rate with the lowest test loss. Rows of fixed rates and of `rewind`, the default controller, are
those of `benchmarks/control`. Gradient evaluations and process time are in units of a fixed rate's run; the grid takes
10. Process time was taken on a busy machine for learned rates, on another day for the others: read it to one digit."""
LEFT_OUT = """Left out of the study's tasks: `mnist:1000` and its variants, where a fixed rate takes 11 to 13 seconds
and a second pass or a divergence goes over 15; networks that are not dense (`mnist:1000:cnn`, `cifar10`, `gpt`), which
take 30 to 130."""
NORMS_TEXT = """The strength of lowest validation loss, for each task and seed, of {strengths}: two runs, which the cost
counts. First against the same dropout without a norm, then against the grid."""
REFERENCES = (*DEFAULTS, "fixed:0")
ORACLE = "oracle"


def markdown(cells: Cells) -> str:
    """Return all tables as one text, from the rows of the study and of this comparison."""
    learned = complete(cells, LEARNED)
    norms = complete(cells, NORMS)
    parts = [
        INTRODUCTION,
        "## Where one run loses\n\n" + _losses(learned),
        "## Over tasks\n\n" + _over_tasks(learned),
        "## Task by task\n\n" + _tasks(learned),
        "## L1 and L2 beside dropout\n\n" + _norms({**norms, **chosen_norms(norms)}),
        "## Not run\n\n" + _not_run(cells),
        "## Measured on\n\n" + _places(cells),
    ]
    return "\n\n".join(parts) + "\n"


def _differences(cells: Cells, method: str) -> dict[str, Difference]:
    if method == ORACLE:
        found = {task: oracle_difference(cells, task) for task in TASKS}
    else:
        found = {task: difference(cells, task, method) for task in TASKS}
    return {task: d for task, d in found.items() if d}


def _losses(cells: Cells) -> str:
    rows = []
    for method in LEARNED:
        lost = [(d, task) for task, d in _differences(cells, method).items() if not d.mean <= 0.02 or d.is_worse]
        lost.sort(key=lambda case: -case[0].mean)
        rows.append([method, str(len(lost)), "; ".join(f"{task} {_nats(d)}" for d, task in lost)])
    return _table(["method", "tasks", "by how much"], rows)


def _over_tasks(cells: Cells) -> str:
    rows = []
    for method in (*LEARNED, *REFERENCES, ORACLE):
        found = _differences(cells, method)
        if found:
            t = tally(found.values())
            rows.append((t.mean, [method, *_judged(t), *_costs(cells, method)]))
    rows.sort(key=lambda row: -row[0])
    header = ["method", "tasks", "mean (se)", "worst", "won", "lost", "worse by > 2 se", "gradient evaluations", "time"]
    return _table(header, (line for _, line in rows)) if rows else "No pair of task and seed has all methods yet."


def _tasks(cells: Cells) -> str:
    methods = (*LEARNED, *REFERENCES, ORACLE)
    found = {method: _differences(cells, method) for method in methods}
    rows = [
        [task, str(found[ORACLE][task].seeds), *(_nats(found[method].get(task)) for method in methods)]
        for task in TASKS
        if task in found[ORACLE]
    ]
    return _table(["task", "seeds", *methods], rows)


def _norms(cells: Cells) -> str:
    rows = []
    for base in BESIDE:
        for method in (f"{base}+{norm}" for norm in PENALTIES):
            against = [d for d in (compared_to(cells, task, method, base) for task in TASKS) if d]
            if against:
                t, overall = tally(against), tally(_differences(cells, method).values())
                rows.append([method, *_judged(t), _mean(overall), f"{overall.worst:+.3f}", *_costs(cells, method)])
        alone = _differences(cells, base)
        if alone:
            t = tally(alone.values())
            rows.append([base, str(t.tasks), *[""] * 5, _mean(t), f"{t.worst:+.3f}", *_costs(cells, base)])
    header = ["method", "tasks", "to the same without (se)", "worst", "won", "lost", "worse by > 2 se"]
    header += ["to the grid (se)", "worst", "gradient evaluations", "time"]
    known = {norm: " or ".join(f"{strength:g}" for strength in strengths) for norm, (_, strengths) in PENALTIES.items()}
    text = NORMS_TEXT.format(strengths=" and ".join(f"{strengths} ({norm})" for norm, strengths in known.items()))
    return text + "\n\n" + (_table(header, rows) if rows else "No pair of task and seed has all of them yet.")


def _not_run(cells: Cells) -> str:
    seeds = sorted({seed for _, seed, method in cells if method in LEARNED or method in NORMS})
    lines = []
    for name, part in (("learned rates", LEARNED), ("norms", NORMS)):
        missing = [f"{task} {s}" for s in seeds for task in TASKS if any((task, s, m) not in cells for m in part)]
        if missing:
            lines.append(f"- {name}, task and seed: {', '.join(missing)}")
    begun = f"Seeds begun: {', '.join(map(str, seeds))}."
    told = [f"{begun} Of these were not run, or not all:", "\n".join(lines)] if lines else [f"{begun} All were run."]
    return "\n\n".join([LEFT_OUT, *told])


def _places(cells: Cells) -> str:
    ours = [row for (_, _, method), row in cells.items() if method in LEARNED or method in NORMS]
    places = dict.fromkeys((row.commit, row.torch, row.lightning) for row in ours)
    return "\n".join(f"- commit {commit}, torch {torch}, Lightning {lightning}" for commit, torch, lightning in places)


def _judged(t: Tally) -> list[str]:
    return [str(t.tasks), _mean(t), f"{t.worst:+.3f}", str(t.wins), str(t.losses), str(t.worse)]


def _mean(t: Tally) -> str:
    return f"{t.mean:+.3f}" if math.isnan(t.error) else f"{t.mean:+.3f} ({t.error:.3f})"


def _costs(cells: Cells, method: str) -> list[str]:
    if method == ORACLE:
        return ["10", "10"]
    measures = (lambda row: row.gradient_examples, lambda row: row.seconds)
    return [f"{cost_ratio(cells, TASKS, method, measure):.2f}" for measure in measures]


def _nats(d: Difference | None) -> str:
    if d is None:
        return ""
    return f"{d.mean:+.3f} ({d.error:.3f})" if d.seeds > 1 else f"{d.mean:+.3f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
