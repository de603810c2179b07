"""Disks that take no more, and then take more again: by a limit on the size of files, and for real."""

from __future__ import annotations

import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["MountError", "limited_files", "small_file_system"]


class MountError(OSError):
    """No file system may be mounted here, so nothing was tried."""


@contextmanager
def limited_files() -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Give a function that lets no file grow any further, as on a full disk, and one that ends it."""
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        yield (
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1])),
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def small_file_system(folder: Path) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Mount 1 MiB of memory at ``folder``, and give a function that fills it up, and one that empties it again.

    Raises:
        MountError: the process may not mount anything.
    """
    filler = folder / "filler"
    _mount(folder)
    try:
        yield lambda: _fill(filler), lambda: filler.unlink(missing_ok=True)
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)  # also where a file is still open


def _fill(filler: Path) -> None:
    with suppress(OSError), filler.open("wb", buffering=0) as file:  # "No space left on device" ends it
        while True:
            file.write(bytes(4096))


def _mount(folder: Path) -> None:
    command = ("mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(folder))
    try:
        subprocess.run(command, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        why = " ".join((getattr(error, "stderr", "") or str(error)).split())
        raise MountError(f"not tried: no file system can be mounted here ({why})") from error
