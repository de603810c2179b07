"""Reading a run from W&B's server."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["server_values"]

PATIENCE = 10  # seconds for one answer


def server_values(run: str, key: str) -> Iterator[str]:
    """Yield each text that the run "entity/project/run" logged as ``key``, in order.

    Raises:
        ConnectionError: the server cannot be reached, or nobody is logged in.
        FileNotFoundError: it has no such run.
    """
    import wandb
    from wandb.errors import Error
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    if not wandb.login(prompt=False, verify=False):
        raise ConnectionError(f"no folder {run!r} here, and nobody is logged in to W&B; run `wandb login`")
    try:
        for row in wandb.Api(timeout=PATIENCE).run(run).scan_history(keys=[key]):
            yield str(row[key])
    except (Error, WandbApiFailedError) as error:
        if "not find run" in str(error):
            raise FileNotFoundError(f"no folder {run!r} here, and no such run on W&B's server") from error
        raise ConnectionError(f"no folder {run!r} here, and W&B's server does not answer: {error}") from error
