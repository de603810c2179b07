"""What the documentation shows is run: every Python block of the README, every docstring example."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import adaptive_dropout

HAS_TRANSFORMERS = find_spec("transformers") is not None
README = Path(__file__).parents[1] / "README.md"
MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(adaptive_dropout.__path__, "adaptive_dropout.")
    if not name.endswith("__main__")
    and (HAS_TRANSFORMERS or not name.startswith("adaptive_dropout.callbacks.transformers"))
]
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text() if README.exists() else "", re.M | re.S)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what it is"
    assert doctest.testmod(module).failed == 0


def test_there_are_docstring_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [t for name in MODULES for t in finder.find(importlib.import_module(name)) if t.examples]
    assert len(examples) > 15


def test_the_readme_shows_code() -> None:
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_readme_blocks_run(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "from transformers" in block and not HAS_TRANSFORMERS:
        pytest.skip("transformers is not installed; 5.23 needs Python 3.11")
    exec(compile(block, str(README), "exec"), {"__name__": "__main__"})
