"""Two processes that run a script of their own side by side, each with its rank and their folder as arguments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["run_pair"]

ROOT = Path(__file__).parents[1]


def run_pair(script: str, folder: Path) -> list[dict[str, Any]]:
    """Run ``script`` twice; return what each process wrote to ``rank0.json`` and ``rank1.json`` in ``folder``."""
    (folder / "script.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "script.py"]
    pair = [
        subprocess.Popen(
            [*command, str(rank), str(folder)], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    try:
        for process in pair:
            _, errors = process.communicate(timeout=180)
            assert process.returncode == 0, errors[-2000:]
    finally:
        for process in pair:
            process.kill()
            process.communicate()
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]
