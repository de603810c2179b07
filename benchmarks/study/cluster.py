"""Cells on a Ray cluster: the same cells, the same rows; a cell whose worker dies is begun again on another."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from adaptive_dropout.processes import ATTEMPTS, attempt, one_quiet_thread

__all__ = ["connect", "run_on_ray"]

C = TypeVar("C")
R = TypeVar("R")


def connect(address: str | None) -> Any:
    """Return Ray, connected.

    Args:
        address: of the cluster, such as ``"10.0.0.1:6379"``, or ``"auto"``; None starts one on this machine.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: there is no cluster at ``address``.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError:
        raise ImportError('this engine needs Ray: pip install "adaptive-dropout[ray]"') from None
    if not ray.is_initialized():
        # Workers import what they run from this checkout, which has to lie at the same place on every node.
        root = str(Path(__file__).parents[2])
        ray.init(address=address, runtime_env={"env_vars": {"PYTHONPATH": root}}, log_to_driver=False)
    return ray


def run_on_ray(
    ray: Any, work: Callable[[C], R], cells: Sequence[C], gpus: float
) -> Generator[tuple[C, R | Exception], None, None]:
    """Yield each cell with what ``work`` gave for it, or why it gave nothing, as soon as that is known.

    A cell whose worker or node dies is begun again on another, `ATTEMPTS` times in all.

    Args:
        ray: what `connect` returned.
        work: what a worker can import, or a partial of it; the data has to lie at the same place on every node.
        cells: in the order in which they are handed out, one core each.
        gpus: how much of a GPU a cell asks for; 0 keeps it on the CPU.
    """
    task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=ATTEMPTS - 1)(_at_a_worker)
    waiting = {task.remote(work, cell): cell for cell in cells}
    try:
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1)
            for answer in done:
                yield waiting.pop(answer), _fetched(ray, answer)
    finally:
        for answer in waiting:
            ray.cancel(answer, force=True)


def _fetched(ray: Any, answer: Any) -> Any:
    try:
        given, reason = ray.get(answer)
    except ray.exceptions.WorkerCrashedError:
        return RuntimeError(f"its process died {ATTEMPTS} times")
    except ray.exceptions.RayError as error:
        return RuntimeError(str(error).split("\n")[0])
    return given if reason is None else RuntimeError(reason)


def _at_a_worker(work: Callable[[Any], Any], cell: Any) -> tuple[Any, str | None]:
    one_quiet_thread()
    return attempt(work, cell)
