"""The results as Markdown: losing cases first, held-out tasks apart, and the cells that were not run.

``python -m benchmarks.control.table [results.csv]`` prints it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.control.cells import Row
from benchmarks.control.compare import (
    Cells,
    Difference,
    Summary,
    compare,
    compare_cost,
    compare_oracle,
    compare_repeat,
    find_best_universal,
    index_rows,
    summarize,
)
from benchmarks.control.methods import GRID, METHODS, REPEATS
from benchmarks.control.tasks import TASKS
from benchmarks.report.markdown import show, table
from benchmarks.study.rows import read

__all__ = ["RESULTS", "write_tables"]

RESULTS = Path(__file__).with_name("results.csv")
RULES = [method for method in METHODS if method not in {*GRID, *REPEATS.values()}]
NAMED = {"fixed:0": "no dropout", "fixed:0.5": "fixed:0.5"}
INTRODUCTION = """Test loss in nats per example minus that of the grid's choice: of ten fixed rates the one with the
lowest validation loss, chosen for each task and seed. Below 0 is better than the grid. In brackets the standard error:
over paired seeds for a task, over tasks for a mean. A single seed has none, and never counts as worse by 2 se. "The
grid's choice again" is that same rate trained once more, with other masks: what two runs of one rate differ by.
Process time is measured apart, in cost.md."""
AGAIN = "the grid's choice again"


def write_tables(cells: Cells) -> str:
    """Return all tables as one Markdown text."""
    tasks = [task for task in TASKS if any(name == task for name, _, _ in cells)]
    compared = _compared(cells, tasks)
    tuned = [task for task in tasks if not TASKS[task].held_out]
    held_out = [task for task in tasks if TASKS[task].held_out]
    parts = [
        INTRODUCTION,
        "## Where one run loses\n\n" + _losses(cells, tasks),
        "## Tasks that rules may have been tuned on\n\n" + _methods(cells, tuned, compared),
        "## Tasks kept out of all tuning\n\n" + _methods(cells, held_out, compared),
        "## Task by task\n\n" + _tasks(cells, tasks, compared),
        "## Not run\n\n" + _not_run(cells),
    ]
    return "\n\n".join(parts) + "\n"


def _compared(cells: Cells, tasks: Sequence[str]) -> list[str]:
    """Return the rules that have run, then the best universal rate, none and one half."""
    rules = [m for m in RULES if any(name == m for _, _, name in cells)]
    universal = find_best_universal(cells, tasks)
    return rules + [m for m in GRID if m in {universal, *NAMED}]


def _losses(cells: Cells, tasks: Sequence[str]) -> str:
    lost = []
    for method in RULES:
        for task in tasks:
            d = compare(cells, task, method)
            if d and (d.is_worse or not d.mean <= TASKS[task].tolerance):
                lost.append((d, task, method))
    if not lost:
        return "Nowhere: no rule is worse than the grid by 2 standard errors, or by more than the noise of a repeat."
    lost.sort(key=lambda case: -case[0].mean)
    rows = (
        [method, _task_name(task), _nats(d), _points(d), str(d.seeds), "yes" if d.is_worse else ""]
        for d, task, method in lost
    )
    return _join(["method", "task", "nats", "accuracy, points", "seeds", "> 2 se"], rows)


def _methods(cells: Cells, tasks: Sequence[str], compared: Sequence[str]) -> str:
    tolerance = {task: TASKS[task].tolerance for task in tasks}
    rows = []
    again = summarize({task: compare_repeat(cells, task) for task in tasks}, tolerance)
    if again:
        rows.append((again.mean, [AGAIN, *_show(again), "1.00"]))
    for method in compared:
        s = summarize({task: compare(cells, task, method) for task in tasks}, tolerance)
        if s:
            gradients = compare_cost(cells, tasks, method, lambda row: row.gradient_examples)
            rows.append((s.mean, [_method_name(cells, method), *_show(s), f"{gradients:.2f}"]))
    if not rows:
        return "No task here has a complete grid."
    rows.sort(key=lambda row: -row[0])
    header = ["method", "mean (se)", "worst task", "within .02 (.04 CNN) or better", "worse by > 2 se"]
    return _join([*header, "gradient cost"], (cells_of_row for _, cells_of_row in rows))


def _show(s: Summary) -> list[str]:
    return [f"{s.mean:+.3f} ({s.error:.3f})", f"{s.worst:+.3f}", f"{s.tasks - s.losses} of {s.tasks}", str(s.worse)]


def _tasks(cells: Cells, tasks: Sequence[str], compared: Sequence[str]) -> str:
    rows = []
    for task in tasks:
        oracle = compare_oracle(cells, task)
        if oracle:
            each = [_nats(compare(cells, task, method)) for method in compared]
            again = _nats(compare_repeat(cells, task))
            rows.append([_task_name(task), str(oracle.seeds), _nats(oracle), again, *each])
    if not rows:
        return "No task has a complete grid."
    names = [_method_name(cells, method) for method in compared]
    return _join(["task", "seeds", "oracle rate", AGAIN, *names], rows)


def _not_run(cells: Cells) -> str:
    seeds = sorted({seed for _, seed, _ in cells})
    lines = []
    for task in TASKS:
        missing = {m: [s for s in seeds if (task, s, m) not in cells] for m in (*GRID, *RULES)}
        missing = {method: which for method, which in missing.items() if which}
        whole = [method for method, which in missing.items() if which == seeds]
        parts = [f"{method} (seed {', '.join(map(str, which))})" for method, which in missing.items() if which != seeds]
        if len(whole) == len(GRID) + len(RULES):
            lines.append(f"- {task}: nothing")
        elif missing:
            lines.append(f"- {task}: " + ", ".join([*whole, *parts]))
    ran = f"Seeds {', '.join(map(str, seeds))}." if seeds else "No seed was run."
    return ran + ("\n\n" + "\n".join(lines) if lines else " Every task and every method was run with each.")


def _task_name(task: str) -> str:
    return f"{task} (held out)" if TASKS[task].held_out else task


def _method_name(cells: Cells, method: str) -> str:
    known = [NAMED[method]] if method in NAMED else [method]
    if method == find_best_universal(cells, sorted({task for task, _, _ in cells})):
        known.append("the best universal rate")
    return ", ".join(known)


def _nats(d: Difference | None) -> str:
    if d is None:
        return "not run"
    return show((d.mean, d.error), 3, "+")


def _points(d: Difference) -> str:
    return "" if d.accuracy is None else f"{d.accuracy:+.1f}"


def _join(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(table(header, rows))


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    if not file.exists():
        sys.exit(f"no file {str(file)!r}: python -m benchmarks.control writes one")
    try:
        rows = read(file, Row)
    except ValueError as error:
        sys.exit(str(error))
    unknown = sorted({row.task for row in rows} - TASKS.keys() | {row.method for row in rows} - METHODS.keys())
    if unknown:
        print(f"left out, because no task or method has that name: {', '.join(unknown)}", file=sys.stderr)
    print(write_tables(index_rows(rows)), end="")


if __name__ == "__main__":
    main()
