"""``adaptive-dropout dashboard``: one look at all runs of a project in W&B, or a report that compares them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from jsonargparse import ArgumentParser

from adaptive_dropout.cli.setup import command_parser
from adaptive_dropout.tracking.folders import check_file

__all__ = ["dashboard"]


def dashboard(arguments: Sequence[str]) -> None:
    """Create the dashboard or report and print its address; with ``--dry-run`` print its JSON, or write it to a file.

    Raises:
        ModuleNotFoundError: the extra ``dashboards`` is not installed.
        ValueError, OSError: the arguments are wrong, or the JSON cannot be written; there is no such project, nobody is
            logged in, or W&B's server does not answer.
    """
    given = _parser().parse_args(list(arguments))
    if given.output is not None and not given.dry_run:
        raise ValueError(f"-o {given.output} is for the JSON of --dry-run; add that, or leave -o out")
    if given.output is not None:
        check_file(given.output)
    if find_spec("wandb_workspaces") is None:
        raise ModuleNotFoundError('dashboards need wandb-workspaces: pip install "adaptive-dropout[dashboards]"')
    from adaptive_dropout.tracking.wandb.dashboard.pages import report, workspace
    from adaptive_dropout.tracking.wandb.dashboard.saving import save_report, save_workspace, to_json

    make, save = (report, save_report) if given.report else (workspace, save_workspace)
    if not given.dry_run:
        print(save(given.entity, given.project))
    elif given.output is None:
        print(to_json(make(given.entity, given.project)))
    else:
        given.output.write_text(to_json(make(given.entity, given.project)) + "\n", encoding="utf-8")
        print(given.output)


def _parser() -> ArgumentParser:
    does = "Create the dashboard of a project in W&B, or bring the one that it has up to date."
    parser = command_parser("dashboard", does)
    parser.add_argument("--entity", required=True, help="the user or the team that the project belongs to")
    parser.add_argument("--project", required=True, help="the project, which has to exist")
    parser.add_argument("--report", action="store_true", help="create a report instead, a new one each time")
    parser.add_argument("--dry-run", action="store_true", help="show its JSON; no network and no account is needed")
    parser.add_argument("-o", "--output", type=Path, help="file for the JSON of --dry-run")
    return parser
