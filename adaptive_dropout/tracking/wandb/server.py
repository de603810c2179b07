"""W&B's server: asking it, with every failure told in one line, and reading what a run logged there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["asking_server", "server_values"]

PATIENCE = 10  # seconds for one answer


def server_values(run: str, key: str) -> Iterator[str]:
    """Yield each text that the run "entity/project/run" logged as ``key``, in order.

    Raises:
        ConnectionError: the server cannot be reached, or nobody is logged in.
        FileNotFoundError: it has no such run.
    """
    here = f"no folder {run!r} here, and"
    nobody = f"{here} nobody is logged in to W&B; run `wandb login`"
    try:
        with asking_server(nobody, f"{here} W&B's server does not answer") as api:
            for row in api.run(run).scan_history(keys=[key]):
                yield str(row[key])
    except ConnectionError as error:
        if "not find run" in str(error.__cause__):
            raise FileNotFoundError(f"{here} no such run on W&B's server") from error
        raise


@contextmanager
def asking_server(nobody: str, failed: str) -> Iterator[Any]:
    """Yield ``wandb.Api`` to ask the server inside of the block. A server that is down is told before the block begins.

    Args:
        nobody: the error where nobody is logged in.
        failed: the error where the server cannot be reached or refuses, without the reason.

    Raises:
        ConnectionError: one of the two.
    """
    import wandb

    if not wandb.login(prompt=False, verify=False):
        raise ConnectionError(nobody)
    try:
        yield wandb.Api(timeout=PATIENCE)
    except Exception as error:
        if _is_wandbs(error):
            raise ConnectionError(f"{failed}: {error}") from error
        raise


def _is_wandbs(error: Exception) -> bool:
    # Some are ``wandb.errors.Error``; others are plain exceptions of a private module.
    return any(kind.__module__.partition(".")[0] == "wandb" for kind in type(error).__mro__)
