"""Files that leave a marker if code in them, or a module that they name, is run; and how a test tries one."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adaptive_dropout.cli.errors import one_line
from tests.tracking.test_run import recorded

EVIL = {"class_path": "evil.Evil", "init_args": {}}
LOOKS_LIKE_AN_ERROR = "option 'x' is not accepted, class_path 'evil.Evil'"


class Touch:
    """Unpickling it leaves the marker."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {Path('marker').absolute()}",)


def write_run(decision: dict[str, Any] | None = None, **header: Any) -> None:
    """Write ``decisions.jsonl`` with these entries of the header, and of the third decision, changed."""
    run = recorded()
    del run.decisions[10:]
    lines = [json.loads(line) for line in run.lines()]
    lines[0] |= header
    lines[3] |= decision or {}
    Path("decisions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def raw(file: str, content: bytes, read: Callable[[str], object]) -> Callable[[], object]:
    def attempt() -> object:
        Path(file).write_bytes(content)
        return read(file)

    return attempt


def pickled(file: str, read: Callable[[str], object]) -> Callable[[], object]:
    return lambda: raw(file, pickle.dumps(Touch()), read)()


def check_that_no_code_runs(way: Callable[[], object], folder: Path) -> None:
    """Try ``way`` in the folder; what it raises has to be one line, and no marker may be left."""
    try:
        way()
    except AssertionError:
        raise
    except Exception as error:  # most are refused
        told = one_line(error)
    else:
        told = ""
    assert "\n" not in told
    assert not (folder / "marker").exists()
    assert "evil" not in sys.modules
