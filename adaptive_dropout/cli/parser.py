"""How the commands that Lightning does not parse read their arguments."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser

__all__ = ["command_parser"]


def command_parser(command: str, does: str, **more: Any) -> ArgumentParser:
    """Return a parser for ``adaptive-dropout command``: it raises what is wrong, and takes no shortened options."""
    prog = f"adaptive-dropout {command}"
    return ArgumentParser(prog, description=does, exit_on_error=False, allow_abbrev=False, **more)
