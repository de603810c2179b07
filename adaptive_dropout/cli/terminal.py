"""Foreign text in a terminal: cells of tables, and lines on standard error."""

from __future__ import annotations

import sys

from rich.text import Text

from adaptive_dropout.tracking.shown import shown

__all__ = ["cells", "warn"]


def cells(*texts: str) -> list[Text]:
    """Return ``texts`` for a table of rich, which would take ``[bold]`` in a plain string for markup."""
    return [Text(shown(text)) for text in texts]


def warn(message: object) -> None:
    """Print a warning of one line on standard error."""
    print(f"adaptive-dropout: warning: {shown(str(message), longest=1000)}", file=sys.stderr)
