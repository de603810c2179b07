"""The rows of ``compare.csv`` beside those of the study, as Markdown: losing methods first.

Only pairs of a task and a seed count that all methods of a comparison have.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from benchmarks.control.cells import Row
from benchmarks.control.compare import Cells, Difference, Summary, compare, compare_cost, compare_oracle, summarize
from benchmarks.control.methods import GRID
from benchmarks.learned.methods import BESIDE, DEFAULTS, LEARNED, NORMS, PENALTIES, TASKS, name_with_norm
from benchmarks.report.markdown import show, table
from benchmarks.study.statistics import mean_and_error

__all__ = ["choose_norms", "compare_to", "keep_complete", "write_tables"]

INTRODUCTION = """# Learned rates beside the default controller

Written by `python -m benchmarks.learned.compare`. Networks of two hidden layers of 256 units; test loss in nats per
example of the weights with the lowest validation loss, minus that of the grid's choice: of ten fixed rates the one with
the lowest validation loss, for each task and seed. Below 0 is better than the grid. In brackets the standard error:
over paired seeds for a task, over tasks for a mean; one seed has none. A task is won or lost by more than .02, which
two runs of one rate differ by. Learned rates start at p = .1 (sparse layers at ln sigma^2 = -10), each is one run.
`oracle` is the fixed rate with the lowest test loss. Rows of fixed rates and of `rewind`, the default controller, are
those of `benchmarks/control`. Gradient evaluations are in units of a fixed rate's run. Process seconds of a run depend
on what else the machine did: those of learned rates were taken beside more work than those of the others, so they
compare among themselves; `compare_cost.md` has pairs that ran one right after the other."""
LEFT_OUT = """Left out of the study's tasks: `mnist:1000` and its variants, where a fixed rate takes 9 to 11 seconds and
learned ones, by the ratios of `compare_cost.md`, mostly more than 15; networks that are not dense (`mnist:1000:cnn`,
`cifar10`, `gpt`), which take 30 to 130."""
NORMS_TEXT = """The strength of lowest validation loss, for each task and seed, of {strengths}:
two runs, which the cost counts. First against the same dropout without a norm, then against the grid."""
NOTHING = "No pair of task and seed has all methods yet."
TOLERANCE = 0.02
COSTS = ("gradient evaluations", "seconds")
ORACLE = "oracle"
REFERENCES = (*DEFAULTS, "fixed:0", ORACLE)


def keep_complete(cells: Cells, methods: Collection[str]) -> dict[tuple[str, int, str], Row]:
    """Return the rows, of any method, of the pairs of task and seed that all ``methods`` were run on."""
    pairs = {(task, seed) for task, seed, _ in cells}
    whole = {(task, seed) for task, seed in pairs if all((task, seed, method) in cells for method in methods)}
    return {key: row for key, row in cells.items() if key[:2] in whole}


def choose_norms(cells: Cells) -> dict[tuple[str, int, str], Row]:
    """Return, as methods such as ``fixed:0+l1``, the runs with the strength of lowest validation loss of each pair.

    They come with the gradient evaluations and seconds of all strengths that were tried.
    """
    chosen = {}
    for task, seed in {(task, seed) for task, seed, _ in cells}:
        for norm, (_, strengths) in PENALTIES.items():
            for base in BESIDE:
                rows = [cells.get((task, seed, name_with_norm(norm, strength, base))) for strength in strengths]
                tried = [row for row in rows if row]
                if len(tried) == len(strengths):
                    chosen[task, seed, f"{base}+{norm}"] = _choose_best(tried, f"{base}+{norm}")
    return chosen


def compare_to(cells: Cells, task: str, method: str, base: str) -> Difference | None:
    """Return test loss of ``method`` minus that of ``base`` over the seeds that have both; None where there is none."""
    rows = [row for (name, _, m), row in cells.items() if (name, m) == (task, method)]
    pairs = [(row, cells.get((task, row.seed, base))) for row in rows]
    losses = [row.test_loss - reference.test_loss for row, reference in pairs if reference]
    return Difference(*mean_and_error(losses), len(losses)) if losses else None


def _choose_best(rows: Collection[Row], method: str) -> Row:
    best = min(rows, key=lambda row: row.val_loss)
    examples, seconds = sum(row.gradient_examples for row in rows), sum(row.seconds for row in rows)
    return replace(best, method=method, gradient_examples=examples, seconds=seconds)


def write_tables(cells: Cells) -> str:
    """Return all tables as one text, from the rows of the study and of this comparison."""
    learned = keep_complete(cells, {*GRID, *DEFAULTS, *LEARNED})
    norms = keep_complete(cells, {*GRID, *DEFAULTS, *NORMS})
    parts = [
        INTRODUCTION,
        "## Where one run loses\n\n" + _losses(learned),
        "## Over tasks\n\n" + _over_tasks(learned),
        "## Task by task\n\n" + _tasks(learned),
        "## L1 and L2 beside dropout\n\n" + _norms({**norms, **choose_norms(norms)}),
        "## Not run\n\n" + _not_run(cells),
        "## Measured on\n\n" + _places(cells),
    ]
    return "\n\n".join(parts) + "\n"


def _differences(cells: Cells, method: str) -> dict[str, Difference]:
    if method == ORACLE:
        found = {task: compare_oracle(cells, task) for task in TASKS}
    else:
        found = {task: compare(cells, task, method) for task in TASKS}
    return {task: d for task, d in found.items() if d}


def _over(cells: Cells, method: str) -> Summary:
    return _summarize(_differences(cells, method))


def _summarize(differences: Mapping[str, Difference | None]) -> Summary:
    found = summarize(differences, dict.fromkeys(TASKS, TOLERANCE))
    assert found is not None, "no task has a difference"
    return found


def _losses(cells: Cells) -> str:
    rows = []
    for method in LEARNED:
        found = _differences(cells, method)
        lost = [(d, task) for task, d in found.items() if not d.mean <= TOLERANCE or d.is_worse]
        lost.sort(key=lambda case: -case[0].mean)
        cases = "; ".join(f"{task} {_nats(d)}" for d, task in lost)
        rows.append([method, f"{len(lost)} of {len(found)}", cases])
    return _join(["method", "tasks", "by how much"], rows) if cells else NOTHING


def _over_tasks(cells: Cells) -> str:
    if not cells:
        return NOTHING
    tallies = {method: _over(cells, method) for method in (*LEARNED, *REFERENCES)}
    worst_first = sorted(tallies.items(), key=lambda case: -case[1].mean)
    header = ["method", "tasks", "mean (se)", "worst", "won", "lost", "worse by > 2 se", *COSTS]
    lines = ([method, *_show_summary(t), *_costs(cells, method)] for method, t in worst_first)
    return _join(header, lines)


def _tasks(cells: Cells) -> str:
    found = {method: _differences(cells, method) for method in (*LEARNED, *REFERENCES)}
    rows = [
        [task, str(found[ORACLE][task].seeds), *(_nats(found[method].get(task)) for method in found)]
        for task in TASKS
        if task in found[ORACLE]
    ]
    return _join(["task", "seeds", *found], rows) if cells else NOTHING


def _norms(cells: Cells) -> str:
    known = [f"{' or '.join(f'{s:g}' for s in strengths)} ({norm})" for norm, (_, strengths) in PENALTIES.items()]
    text = NORMS_TEXT.format(strengths=" and ".join(known))
    header = ["method", "tasks", "to the same without (se)", "worst", "won", "lost", "worse by > 2 se"]
    header += ["to the grid (se)", "worst", *COSTS]
    lines = [line for base in BESIDE for line in _beside(cells, base)] if cells else []
    return text + "\n\n" + (_join(header, lines) if cells else NOTHING)


def _beside(cells: Cells, base: str) -> Iterator[list[str]]:
    alone = _over(cells, base)
    yield [base, str(alone.tasks), *[""] * 5, _mean(alone), f"{alone.worst:+.3f}", *_costs(cells, base)]
    for method in (f"{base}+{norm}" for norm in PENALTIES):
        added = _summarize({task: compare_to(cells, task, method, base) for task in TASKS})
        overall = _over(cells, method)
        yield [method, *_show_summary(added), _mean(overall), f"{overall.worst:+.3f}", *_costs(cells, method)]


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


def _show_summary(t: Summary) -> list[str]:
    return [str(t.tasks), _mean(t), f"{t.worst:+.3f}", str(t.wins), str(t.losses), str(t.worse)]


def _mean(t: Summary) -> str:
    return show((t.mean, t.error), 3, "+")


def _costs(cells: Cells, method: str) -> list[str]:
    """Return gradient evaluations in those of a fixed rate, and seconds of a run; the oracle needs all ten rates."""
    names = GRID if method == ORACLE else (method,)
    gradients = sum(compare_cost(cells, TASKS, name, lambda row: row.gradient_examples) for name in names)
    seconds = sum(statistics.mean(row.seconds for (_, _, m), row in cells.items() if m == name) for name in names)
    return [f"{gradients:.2f}", f"{seconds:.0f}"]


def _nats(d: Difference | None) -> str:
    return "" if d is None else show((d.mean, d.error), 3, "+")


def _join(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(table(header, rows))
