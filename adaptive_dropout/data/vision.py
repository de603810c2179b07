"""What the torchvision data sets share: torchvision is optional, and a missing folder is said in one line."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["find_files", "read_files", "torchvision"]


def torchvision(module: str) -> Any:
    """Return the torchvision module of that name, such as ``"datasets"``.

    Raises:
        ImportError: torchvision is not installed.
    """
    try:
        return importlib.import_module(f"torchvision.{module}")
    except ImportError as error:
        raise ImportError(f'this data needs torchvision ({error}): pip install "adaptive-dropout[vision]"') from None


def find_files(folder: Path, names: Sequence[str], what: str) -> None:
    """Do nothing if every file of ``names`` is in ``folder``.

    Raises:
        FileNotFoundError: one is not; the message names it and ``what`` is missing.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"no {what} in {str(folder)!r}, {missing[0]!r} is missing: give the right root, or set download=True"
        )


def read_files(read: Callable[[], Any], folder: Path, what: str) -> Any:
    """Return what ``read`` gives.

    Raises:
        ValueError: a file in ``folder`` does not hold ``what``.
    """
    try:
        return read()
    except Exception as error:  # torchvision's own checks raise anything from AssertionError to UnpicklingError
        reason = str(error).split("\n")[0] or type(error).__name__
        raise ValueError(
            f"the files in {str(folder)!r} are not {what} ({reason}): delete them and set download=True"
        ) from error
