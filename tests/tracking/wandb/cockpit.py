"""What the stand-in for W&B's server knows of dashboards, reports and sweeps, as wandb-workspaces 0.4 sends them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CockpitOperations", "StoredSweep", "StoredView"]


@dataclass
class StoredView:
    """A dashboard ("project-view") or a report ("runs"), as it was saved last."""

    id: str
    project: str
    name: str
    type: str = ""
    title: str = ""
    spec: dict[str, Any] = field(default_factory=dict)
    saves: int = 0


@dataclass
class StoredSweep:
    """A sweep: its YAML, and the settings that no agent was given yet; agents are told to stop where there are none."""

    project: str
    config: str
    points: list[dict[str, Any]] = field(default_factory=list)
    given: int = 0


class CockpitOperations:
    """The answers, a method for each operation."""

    def __init__(self, served: Any) -> None:
        self._served = served

    def view(self, given: Any) -> Any:
        if not self._has_project(given["entityName"], given["name"]):
            return {"project": None}
        found = [v for v in self._served.views if (v.project, v.name) == (given["name"], given["viewName"])]
        nodes = [{"id": view.id, "displayName": view.title, "spec": json.dumps(view.spec)} for view in found]
        return {"project": {"allViews": {"edges": [{"node": node} for node in nodes]}}}

    def upsert_view(self, given: Any) -> Any:
        views = self._served.views
        known = [view for view in views if view.id == given.get("id")]
        if not known:
            views.append(StoredView(f"view{len(views)}", given["projectName"], given["name"]))
        view = known[0] if known else views[-1]
        view.type, view.title, view.spec = given["type"], given["displayName"], json.loads(given["spec"])
        view.saves += 1
        project = {"id": "1", "name": view.project, "entityName": given["entityName"]}
        stored = {"id": view.id, "type": view.type, "name": view.name, "displayName": view.title, "description": ""}
        stored |= {"project": project, "spec": given["spec"], "updatedAt": "2026-01-01T00:00:00"}
        return {"upsertView": {"view": stored, "inserted": not known}}

    upsert_view2 = upsert_view

    def get_projects(self, given: Any) -> Any:
        user = {"id": "1", "name": "", "username": given["entity"], "email": "", "admin": False, "flags": "{}"}
        user |= {"entity": given["entity"], "deletedAt": None, "apiKeys": {"edges": []}, "teams": {"edges": []}}
        nodes = [
            {
                "__typename": "Project", "id": name, "name": name, "entityName": given["entity"],
                "createdAt": "2026-01-01T00:00:00", "isBenchmark": False, "user": user,
            }
            for name in sorted(self._projects())
        ]  # fmt: skip
        pages = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        return {"models": {"pageInfo": pages, "edges": [{"node": node} for node in nodes]}}

    def upsert_sweep(self, given: Any) -> Any:
        name = f"sweep{len(self._served.sweeps)}"
        self._served.sweeps[name] = StoredSweep(given["projectName"], given["config"])
        project = {"id": "1", "name": given["projectName"], "entity": {"id": "1", "name": self._served.entity}}
        return {"upsertSweep": {"sweep": {"name": name, "project": project}, "configValidationWarnings": []}}

    def sweep_with_runs(self, given: Any) -> Any:
        sweep = self._served.sweeps[given["sweep"]]
        found = {"id": "1", "name": given["sweep"], "config": sweep.config, "runs": {"edges": []}}
        return {"project": {"sweep": found}}

    def create_agent(self, given: Any) -> Any:
        return {"createAgent": {"agent": {"id": given["sweep"]}}}

    def heartbeat(self, given: Any) -> Any:
        sweep = self._served.sweeps[given["id"]]
        commands: list[dict[str, Any]] = []
        if not json.loads(given["runState"]):
            commands = [self._next(given["id"], sweep)] if sweep.points else [{"type": "exit"}]
        return {"agentHeartbeat": {"agent": {"id": given["id"]}, "commands": json.dumps(commands)}}

    def _next(self, name: str, sweep: StoredSweep) -> dict[str, Any]:
        point = sweep.points.pop(0)
        sweep.given += 1
        program = re.search(r"^program: (\S+)$", sweep.config, re.MULTILINE)
        assert program is not None
        args = {key: {"value": value} for key, value in point.items()}
        return {"type": "run", "run_id": f"{name}point{sweep.given}", "program": program[1], "args": args}

    def _has_project(self, entity: str, project: str) -> bool:
        return entity == self._served.entity and project in self._projects()

    def _projects(self) -> set[str]:
        return {run.project for run in self._served.runs.values()}
