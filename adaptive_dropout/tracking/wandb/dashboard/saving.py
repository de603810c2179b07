"""Giving dashboards and reports to W&B's server, and their JSON without one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from wandb_workspaces import workspaces as ws
from wandb_workspaces.reports import v2 as wr

from adaptive_dropout.tracking.wandb.dashboard.report import report
from adaptive_dropout.tracking.wandb.dashboard.workspace import workspace
from adaptive_dropout.tracking.wandb.server import PATIENCE

__all__ = ["save_report", "save_workspace", "to_json"]


def to_json(made: ws.Workspace | wr.Report) -> str:
    """Return what the server would be given, without asking it anything; the panels have other ids each time."""
    return str(made._to_model().spec.model_dump_json(by_alias=True, exclude_none=True, indent=2))


def save_workspace(entity: str, project: str) -> str:
    """Create the dashboard of ``entity/project``, or bring the one that is there up to date; return its address.

    An update replaces the panels. Filters, colours and the order of the runs stay as they were set in W&B.

    Raises:
        ConnectionError: nobody is logged in, or the server cannot be reached or refuses.
        FileNotFoundError: there is no such project.
    """
    with _asking():
        made, saved = workspace(entity, project), _saved(entity, project)
        if saved is None:
            made._internal_name = f"nw-{_view(entity, project)}-v"  # the library would draw another one each time
        else:
            saved.name, saved.sections, saved.settings = made.name, made.sections, made.settings
            made = saved
        return str(made.save().url)


def save_report(entity: str, project: str) -> str:
    """Create a report on ``entity/project``, a new one each time, since people edit reports; return its address.

    Raises:
        ConnectionError: nobody is logged in, or the server cannot be reached or refuses.
        FileNotFoundError: there is no such project.
    """
    with _asking():
        _saved(entity, project)  # a project that does not exist would be created
        return str(report(entity, project).save().url)


def _saved(entity: str, project: str) -> ws.Workspace | None:
    """Return the dashboard that is there."""
    try:
        return ws.Workspace.from_url(f"https://wandb.ai/{entity}/{project}?nw={_view(entity, project)}")
    except ValueError as error:
        if "not found in project" in str(error):
            return None
        if "not found" in str(error):
            raise FileNotFoundError(f"no project {entity}/{project} on W&B's server that you may see") from None
        raise


def _view(entity: str, project: str) -> str:
    """Return the name in the dashboard's address: the same each time, and another one in every project."""
    return hashlib.sha256(f"{entity}/{project}".encode()).hexdigest()[:11]


@contextmanager
def _asking() -> Iterator[None]:
    import wandb
    from wandb.errors import Error
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    if not wandb.login(prompt=False, verify=False):
        raise ConnectionError("nobody is logged in to W&B; run `wandb login`, or add --dry-run to see the JSON")
    try:
        wandb.Api(timeout=PATIENCE)  # a dead server is told here; the library would wait for it twice as long, twice
        yield
    except (Error, WandbApiFailedError) as error:
        raise ConnectionError(f"W&B's server did not take it: {error}") from error
