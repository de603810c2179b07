"""What W&B itself reads from the file of an offline run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

__all__ = ["history_of", "series_of"]


def history_of(run_file: Path) -> list[dict[str, Any]]:
    """The rows of an offline run."""
    inspect = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(run_file)]
    records = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.splitlines()
    return [r["history"]["item"] for r in map(json.loads, records) if r.get("type") == "history"]


def series_of(folder: Path) -> dict[str, list[Any]]:
    """What the one run below ``folder`` logged, by name, in order."""
    (run_file,) = folder.rglob("run-*.wandb")
    logged: dict[str, list[Any]] = defaultdict(list)
    for row in history_of(run_file):
        for name, value in row.items():
            logged[name].append(value)
    return logged
