"""A stand-in for W&B's server on the loopback interface: enough of it to log a run online and to read it back.

An operation of its GraphQL interface, such as UpsertBucket, is a method of `Operations`, or of `CockpitOperations` for
dashboards, reports and sweeps; names and fields are those that wandb 0.31 sends and reads. What it does not know it
answers with an error and remembers in ``unknown``.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest
import wandb

from tests.tracking.wandb.cockpit import CockpitOperations, StoredSweep, StoredView

ENTITY = "somebody"
KEY = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class StoredRun:
    """What was uploaded of one run."""

    project: str
    name: str
    sweep: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def rows(self, key: str) -> list[dict[str, Any]]:
        """The rows of the history that have ``key``."""
        return [row for _, row in sorted(self.history.items()) if key in row]


@dataclass
class StoredArtifact:
    """What was uploaded of one artifact."""

    type: str
    name: str
    metadata: dict[str, Any]
    aliases: list[str]
    files: dict[str, bytes] = field(default_factory=dict)


class WandbServer:
    """The server; ``runs`` and ``sweeps`` by name, ``artifacts`` and ``views`` in order are what it was given."""

    entity = ENTITY

    def __init__(self) -> None:
        self.runs: dict[str, StoredRun] = {}
        self.artifacts: list[StoredArtifact] = []
        self.views: list[StoredView] = []
        self.sweeps: dict[str, StoredSweep] = {}
        self.unknown: list[str] = []
        self.url = ""

    def environment(self, folder: Path) -> dict[str, str]:
        """What makes wandb use this server and nothing outside of ``folder``, and torch a single thread."""
        places = ("DIR", "DATA_DIR", "CACHE_DIR", "CONFIG_DIR", "ARTIFACT_DIR")
        return {
            "WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY, "WANDB_MODE": "online", "WANDB_ERROR_REPORTING": "false",
            "OMP_NUM_THREADS": "1",
        } | {f"WANDB_{place}": str(folder) for place in places}  # fmt: skip

    def closed_environment(self, folder: Path) -> dict[str, str]:
        """All that a process needs to use this server and this library; what does not go to loopback fails."""
        nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")  # nobody answers
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[3])}
        return self.environment(folder) | nowhere | {"NO_PROXY": "127.0.0.1"} | own


@contextmanager
def logged_in(server: WandbServer, folder: Path) -> Iterator[None]:
    """Make this process use ``server`` until the block ends."""
    wandb.teardown()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.closed_environment(folder).items():
            patch.setenv(name, value)
        yield
        wandb.teardown()


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """Run a server until the block ends."""
    served = WandbServer()
    handler = type("Handler", (Handler,), {"served": served})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    served.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """HTTP: GraphQL, the stream of a run's rows, and uploads of files."""

    served: ClassVar[WandbServer]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        stream = re.fullmatch(r"/files/[^/]*/?[^/]+/([^/]+)/file_stream", self.path)
        if self.path == "/graphql":
            self._answer(answer(self.served, json.loads(body)))
        elif stream:
            take_rows(self.served.runs[stream[1]], json.loads(body))
            self._answer({})
        else:
            self._answer({})

    def do_PUT(self) -> None:
        kind, name, file = unquote(self.path).lstrip("/").split("/", 2)
        body = self._body()
        place = self.served.runs[name].files if kind == "run" else self.served.artifacts[int(name)].files
        place[file] = body
        self._answer({})

    def do_GET(self) -> None:
        self._answer({}, status=404)

    def log_message(self, *_: Any) -> None: ...

    def handle(self) -> None:
        with suppress(ConnectionError):  # wandb leaves connections open behind it
            super().handle()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _answer(self, content: Any, status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def take_rows(run: StoredRun, body: dict[str, Any]) -> None:
    """Keep the rows of a ``file_stream`` request."""
    for name, part in body.get("files", {}).items():
        for number, line in enumerate(part.get("content", [])):
            if name == "wandb-history.jsonl":
                run.history[part["offset"] + number] = json.loads(line)
            elif name == "wandb-summary.json":
                run.summary = json.loads(line)


def answer(served: WandbServer, request: dict[str, Any]) -> dict[str, Any]:
    """Answer one GraphQL request."""
    query, variables = request["query"], request.get("variables") or {}
    named = re.search(r"(?:query|mutation|subscription)\s+(\w+)", query)
    name = request.get("operationName") or (named[1] if named else "")
    operation = getattr(Operations(served), re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(), None)
    if operation is None:
        served.unknown.append(name)
        return {"errors": [{"message": f"no operation {name!r} here"}], "data": None}
    return {"data": operation(variables)}


class Operations(CockpitOperations):
    """The answers, a method for each operation."""

    def viewer(self, _: Any) -> Any:
        return {"viewer": {"id": "1", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "teams": EDGES}}

    def get_default_entity(self, _: Any) -> Any:
        return {"viewer": {"id": "1", "entity": ENTITY}}

    def run(self, given: Any) -> Any:
        run = self._served.runs.get(given["name"])
        if run is None or run.project != given["project"]:
            return {"project": {"run": None}}
        config = json.dumps({name: {"value": value} for name, value in run.config.items()})
        found = dict.fromkeys(RUN) | {
            "id": run.name, "name": run.name, "displayName": run.name, "state": "finished", "config": config,
            "summaryMetrics": json.dumps(run.summary), "systemMetrics": "{}", "tags": [],
            "user": {"name": ENTITY, "username": ENTITY},
            "historyLineCount": len(run.history), "projectId": "1",
            "historyKeys": self._history_keys(run),
        }  # fmt: skip
        return {"project": {"run": found}}

    def run_history_keys(self, given: Any) -> Any:
        return {"project": {"run": {"historyKeys": self._history_keys(self._served.runs[given["name"]])}}}

    def run_parquet_history(self, given: Any) -> Any:
        rows = self._served.runs[given["runName"]].history
        live = [{"_step": number} for number in sorted(rows)]
        return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": live}}}}

    def sampled_history_page(self, given: Any) -> Any:
        wanted = json.loads(given["spec"])
        rows = [{"_step": n} | row for n, row in sorted(self._served.runs[given["run"]].history.items())]
        rows = [row for row in rows if wanted["minStep"] <= row["_step"] <= wanted["maxStep"]]
        rows = [{key: row[key] for key in wanted["keys"]} for row in rows if row.keys() >= {*wanted["keys"]}]
        return {"project": {"run": {"sampledHistory": [rows]}}}

    def _history_keys(self, run: StoredRun) -> dict[str, Any]:
        return {"lastStep": max(run.history, default=-1), "keys": {}}

    def organization_core_weave_organization_id(self, _: Any) -> Any:
        return {"entity": None}

    def run_resume_status(self, _: Any) -> Any:
        return {"model": None}

    def upsert_bucket(self, given: Any) -> Any:
        run = self._served.runs.setdefault(given["name"], StoredRun(given["project"], given["name"]))
        run.sweep = given.get("sweep") or run.sweep
        if given.get("config"):
            run.config |= {name: entry["value"] for name, entry in json.loads(given["config"]).items()}
        project = {"id": "p", "name": run.project, "entity": {"id": "e", "name": ENTITY}}
        bucket = {"id": run.name, "name": run.name, "displayName": run.name, "project": project, "historyLineCount": 0}
        return {
            "upsertBucket": {"bucket": bucket | dict.fromkeys(("description", "config", "sweepName")), "inserted": True}
        }

    def create_run_files(self, given: Any) -> Any:
        urls = [{"name": name, "uploadUrl": f"{self._served.url}/run/{given['run']}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": urls}}

    def server_features_query(self, _: Any) -> Any:
        return {"serverInfo": {"features": []}}

    def artifact_type(self, _: Any) -> Any:
        return {"project": None}

    def create_artifact(self, given: Any) -> Any:
        entry = given["input"]
        aliases = [alias["alias"] for alias in entry["aliases"] or []]
        metadata = json.loads(entry["metadata"] or "{}")
        artifact = StoredArtifact(entry["artifactTypeName"], entry["artifactCollectionName"], metadata, aliases)
        self._served.artifacts.append(artifact)
        made = {"id": str(len(self._served.artifacts) - 1), "state": "PENDING"}
        return {"createArtifact": {"artifact": made | {"artifactSequence": {"latestArtifact": None}}}}

    def create_artifact_manifest(self, given: Any) -> Any:
        manifest = {"id": given["artifactID"], "file": self._place(given["artifactID"], given["name"])}
        return {"createArtifactManifest": {"artifactManifest": manifest}}

    def create_artifact_files(self, given: Any) -> Any:
        places = [self._place(spec["artifactID"], spec["name"]) for spec in given["input"]["artifactFiles"]]
        return {"createArtifactFiles": {"files": {"edges": [{"node": place} for place in places]}}}

    def commit_artifact(self, given: Any) -> Any:
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": ""}}}

    def _place(self, artifact: str, name: str) -> dict[str, Any]:
        url = f"{self._served.url}/artifact/{artifact}/{name}"
        named = {"id": name, "name": name, "displayName": name, "storagePath": name, "artifact": {"id": artifact}}
        return named | {"uploadUrl": url, "uploadHeaders": [], "uploadMultipartUrls": None}


RUN = (
    "sweepName", "group", "jobType", "commit", "readOnly", "createdAt", "heartbeatAt", "description", "notes",
)  # fmt: skip
EDGES: dict[str, Any] = {"edges": []}
