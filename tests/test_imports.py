"""Who may import whom: only downward, and nothing heavy below the line."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import adaptive_dropout

PACKAGE = Path(adaptive_dropout.__file__).parent
ROWS = [
    {"probability", "checks"},
    {"schedules", "controllers", "noise"},
    {"functional", "rates", "nested", "tracking", "transfer"},
    {"contexts", "layouts"},
    {"modules"},
    {"signals", "steering", "conversion", "penalties", "pruning"},
    {"inference", "estimators"},
    {"deprecated"},
    # ---- plain `import adaptive_dropout` stops here ----
    {"tracking/wandb"},
    {"plots", "calibration"},
    {"callbacks"},
    {"networks", "data", "tasks", "processes"},
    {"cli"},
    {"__main__"},
]
LAST_LIGHT_ROW = 7
STANDARD_LIBRARY_ONLY = {"probability", "checks", "schedules", "controllers", "tracking"}
HEAVY = {"lightning", "wandb", "matplotlib", "sklearn", "torchmetrics", "rich", "jsonargparse"}
ROW = {name: number for number, row in enumerate(ROWS) for name in row}
LAZY_NAMES = {
    f"adaptive_dropout.tracking.{alias.name}": f"adaptive_dropout.tracking.{node.module}"
    for node in ast.walk(ast.parse((PACKAGE / "tracking" / "__init__.pyi").read_text()))
    if isinstance(node, ast.ImportFrom) and node.module is not None
    for alias in node.names
}


def room_of(parts: Sequence[str]) -> str:
    """The room of a file or of a dotted name, of which ``parts`` begin below the package."""
    return next(room for room in ("/".join(parts[:2]), parts[0]) if room in ROW)


def imports() -> Iterator[tuple[str, str, str]]:
    """Each ``(file, room of the file, dotted name that it imports)``."""
    for file in sorted(PACKAGE.rglob("*.py")):
        relative = file.relative_to(PACKAGE)
        if relative == Path("__init__.py"):
            continue
        room = room_of(relative.with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from ((str(relative), room, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{relative}: relative import"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                yield from ((str(relative), room, LAZY_NAMES.get(name, name)) for name in names)


def test_every_room_has_a_row() -> None:
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - {"__init__", "__pycache__"} == {room for room in ROW if "/" not in room}


def test_imports_go_downward_only() -> None:
    for file, room, name in imports():
        if name.startswith("adaptive_dropout."):
            parts = name.split(".")[1:]
            if parts != ["__version__"] and room_of(parts) != room:
                assert ROW[room_of(parts)] < ROW[room], f"{file} imports {name}, which is not below it"


def test_below_the_line_nothing_heavy_is_imported() -> None:
    for file, room, name in imports():
        top = name.split(".")[0]
        if room in STANDARD_LIBRARY_ONLY:
            assert top in sys.stdlib_module_names | {"adaptive_dropout", "lazy_loader"}, f"{file} imports {name}"
        if ROW[room] <= LAST_LIGHT_ROW:
            assert top not in HEAVY, f"{file} imports {name}"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_no_public_name_needs_lightning_or_wandb() -> None:
    code = "import sys, adaptive_dropout as ad; [getattr(ad, n) for n in ad.__all__]; print(*sys.modules)"
    loaded = {name.split(".")[0] for name in run(code).split()}
    assert "torch" in loaded
    assert not loaded & HEAVY


RECORD = "adaptive_dropout.tracking.decisions, adaptive_dropout.tracking.summary"


@pytest.mark.parametrize("module", ["adaptive_dropout", "adaptive_dropout.cli", RECORD])
def test_a_plain_import_does_not_wait_for_torch(module: str) -> None:
    assert "torch" not in run(f"import sys, {module}; print(*sys.modules)").split()
