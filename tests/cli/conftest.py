"""A stranger's folder, in which running code leaves a marker."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in whose ``evil.py`` can be imported, and whose ``bin/gs`` is the first Ghostscript."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    marker = tmp_path / "marker"
    code = f"from adaptive_dropout import GapController as Evil\nopen({str(marker)!r}, 'w').close()\n"
    Path("evil.py").write_text(code)
    Path("bin").mkdir()
    Path("bin/gs").write_text(f"#!/bin/sh\ntouch {marker}\n")
    Path("bin/gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    sys.modules.pop("evil", None)  # of a test before
    yield tmp_path
    sys.modules.pop("evil", None)
