"""Saving dashboards and reports on W&B's server, or their JSON without one."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager

from wandb_workspaces import workspaces as ws
from wandb_workspaces.reports import v2 as wr

from adaptive_dropout.tracking.wandb.dashboard.pages import report, workspace
from adaptive_dropout.tracking.wandb.server import asking_server

__all__ = ["save_report", "save_workspace", "to_json"]


def to_json(made: ws.Workspace | wr.Report) -> str:
    """Return what the server would be sent, without asking it anything; the ids of the panels are new each time."""
    if not hasattr(made, "_to_model"):
        raise _other_version()
    return str(made._to_model().spec.model_dump_json(by_alias=True, exclude_none=True, indent=2))


def save_workspace(entity: str, project: str) -> str:
    """Create the dashboard of ``entity/project``, or update the one that exists; return its address.

    An update replaces the panels. Filters, colours and the order of the runs stay as they were set in W&B.

    Raises:
        ConnectionError: nobody is logged in, or the server cannot be reached or refuses.
        FileNotFoundError: there is no such project.
    """
    with _asking():
        made, saved = workspace(entity, project), _saved(entity, project)
        if saved is None:
            _set_view(made, _view(entity, project))
        else:
            saved.name, saved.sections, saved.settings = made.name, made.sections, made.settings
            made = saved
        return str(made.save().url)


def save_report(entity: str, project: str) -> str:
    """Create a report on ``entity/project``, a new one each time because people edit reports; return its address.

    Raises:
        ConnectionError: nobody is logged in, or the server cannot be reached or refuses.
        FileNotFoundError: there is no such project.
    """
    with _asking():
        _saved(entity, project)  # a project that does not exist would be created
        return str(report(entity, project).save().url)


def _saved(entity: str, project: str) -> ws.Workspace | None:
    """Return the dashboard that the server has; None if it has none."""
    try:
        return ws.Workspace.from_url(f"https://wandb.ai/{entity}/{project}?nw={_view(entity, project)}")
    except ValueError as error:
        if "not found in project" in str(error):
            return None
        if "not found" in str(error):
            raise FileNotFoundError(f"no project {entity}/{project} on W&B's server that you may see") from None
        raise


def _view(entity: str, project: str) -> str:
    """Return the name in the dashboard's address: the same each time, and different in every project."""
    return hashlib.sha256(f"{entity}/{project}".encode()).hexdigest()[:11]


def _set_view(made: ws.Workspace, view: str) -> None:
    """Give a new dashboard its name in the address; the library would draw another one each time."""
    if not hasattr(made, "_internal_name"):
        raise _other_version()
    made._internal_name = f"nw-{view}-v"


def _other_version() -> ImportError:
    return ImportError('this version of wandb-workspaces is not known: pip install "adaptive-dropout[dashboards]"')


def _asking() -> AbstractContextManager[object]:
    # The library would wait for a dead server twice as long, twice; asking_server tells it first.
    nobody = "nobody is logged in to W&B; run `wandb login`, or add --dry-run to see the JSON"
    return asking_server(nobody, "W&B's server did not take it")
