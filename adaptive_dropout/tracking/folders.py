"""Folders and files that a user names, refused in one line where they cannot be written to.

The line names the path, what is wrong with it, and what would be right.
"""

from __future__ import annotations

import os
from pathlib import Path

from adaptive_dropout.tracking.shown import shown

__all__ = ["check_file", "check_folder", "make_folder"]

LONGEST = 255  # bytes of a name, on the file systems of Linux, macOS and, in characters, Windows


def check_folder(folder: str | Path) -> None:
    """Raise where ``folder`` cannot be written to, and cannot be made; nothing is made.

    Raises:
        OSError: it is a file or a link to nothing, or lies below one; a name is too long; or writing is not allowed.
    """
    folder = Path(folder)
    place = next((place for place in (folder, *folder.parents) if os.path.lexists(place)), Path())
    below = "" if place == folder else f"no folder can be made at {_named(folder)}: "
    if not place.exists():
        to = f" is a link to {_named(place.readlink())}, which" if place.is_symlink() else ""
        raise FileNotFoundError(f"{below}{_named(place)}{to} does not exist; make that folder, or name another")
    if not place.is_dir():
        raise NotADirectoryError(f"{below}{_named(place)} is a file; name a folder, or a new place")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"{below}nothing may be written in {_named(place)}; name another folder")
    _check_names(folder, place)


def make_folder(folder: str | Path) -> Path:
    """Make ``folder``, and those above it, where they are missing, and return it.

    Raises:
        OSError: as `check_folder`, or the disk is full or broken.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        check_folder(folder)
        raise OSError(f"no folder can be made at {_named(folder)} ({error.strerror}); name another") from error
    return folder


def check_file(file: str | Path) -> None:
    """Raise where ``file`` is a folder, or does not exist and cannot be made in its folder, which has to exist.

    Raises:
        OSError: one of these.
    """
    file = Path(file)
    if os.path.isdir(file):
        raise IsADirectoryError(f"{_named(file)} is a folder; name a file, such as {_named(file / 'name')}")
    if os.path.exists(file):  # also a pipe, or a terminal, whose folder is the system's
        return
    check_folder(file.parent)
    if not file.parent.exists():
        raise FileNotFoundError(f"{_named(file)} has no folder to lie in; make {_named(file.parent)}, or name another")
    _check_names(file, file.parent)


def _check_names(path: Path, place: Path) -> None:
    """Raise where a name of ``path`` below ``place`` is longer than disks take."""
    # Below a missing folder the system does not look at the names: it would be made, and what lies in it refused.
    for name in path.parts[len(place.parts) :]:
        if len(os.fsencode(name)) > LONGEST:
            raise OSError(f"the name {shown(name, 80)!r} is longer than the {LONGEST} bytes of a name; shorten it")


def _named(path: Path) -> str:
    return repr(shown(str(path)))
