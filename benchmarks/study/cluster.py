"""Cells on a Ray cluster: the same cells and rows as in local processes."""

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
        # Workers import their code from this checkout, which has to have the same path on every node.
        root = str(Path(__file__).parents[2])
        ray.init(address=address, runtime_env={"env_vars": {"PYTHONPATH": root}}, log_to_driver=False)
    return ray


def run_on_ray(
    ray: Any, work: Callable[[C], R], cells: Sequence[C], gpus: float
) -> Generator[tuple[C, R | Exception], None, None]:
    """Yield each cell with what ``work`` returns for it, or with the reason why it failed, as soon as it is known.

    A cell whose worker or node dies is begun again on another, `ATTEMPTS` times in all.

    Args:
        ray: as returned by `connect`.
        work: a function that a worker can import, or a partial of one; the data has the same path on every node.
        cells: in the order in which they are handed out, one core each.
        gpus: the part of a GPU that each cell gets; 0 keeps it on the CPU.
    """
    task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=ATTEMPTS - 1)(_work_there)
    waiting = {task.remote(work, cell): cell for cell in cells}
    try:
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1)
            for answer in done:
                yield waiting.pop(answer), _fetch(ray, answer)
    finally:
        for answer in waiting:
            ray.cancel(answer, force=True)


def _fetch(ray: Any, answer: Any) -> Any:
    try:
        given, reason = ray.get(answer)
    except ray.exceptions.WorkerCrashedError:
        return RuntimeError(f"its process died {ATTEMPTS} times")
    except ray.exceptions.RayError as error:
        return RuntimeError(str(error).split("\n")[0])
    return given if reason is None else RuntimeError(reason)


def _work_there(work: Callable[[Any], Any], cell: Any) -> tuple[Any, str | None]:
    one_quiet_thread()
    return attempt(work, cell)
