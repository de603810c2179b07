"""An error as one line that a user can act on; jsonargparse buries the reason in a list of all that it tried."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Iterator

__all__ = ["one_line"]

KEY = re.compile(r'^Parser key "([^"]+)":\s+')
TRIED = "Does not validate against any of the Union subtypes"
WORKER = re.compile(r"Caught \w+ in DataLoader worker process \d+\.\nOriginal Traceback")
REFUSED = re.compile(r"[Oo]ption '([\w.]+)'|[Uu]nrecognized arguments: --([\w.]+)")


def one_line(error: BaseException) -> str:
    """Return the reason for ``error`` on one line: the place, the problem, and the names that exist."""
    keys: list[str] = []
    text = ""
    for cause in _causes(error):
        # The str() of a KeyError is the repr of its message.
        text = str(cause.args[0]) if isinstance(cause, KeyError) and cause.args else str(cause)
        while match := KEY.match(text):
            if keys[-1:] != [match[1]]:
                keys.append(match[1])
            text = text[match.end() :]
        if TRIED not in text:
            break
    if WORKER.match(text):  # a traceback as text; its last line is the error
        text = text.rstrip().rpartition("\n")[2].partition(": ")[2]
    text = re.sub(r"<class '([\w.]+)'>", r"\1", " ".join(text.split()))
    where = ".".join(keys) + ": " if keys else ""
    return f"{where}{text or type(error).__name__}{_names_that_exist(text)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _names_that_exist(text: str) -> str:
    refused = REFUSED.search(text)
    if refused is None:
        return ""
    part, _, option = (refused[1] or refused[2]).rpartition(".")
    classes = re.findall(r"class_path '([\w.]+)'", text) or ["lightning.pytorch.Trainer"] * (part == "trainer")
    if not classes:
        return ""
    module, _, name = classes[-1].rpartition(".")
    # Nothing is imported here: the text may come from a file. What jsonargparse refused an option of is loaded already.
    kind = getattr(sys.modules.get(module), name, None)
    if not isinstance(kind, type):
        return ""
    names = [n for n in inspect.signature(kind).parameters if n != "self"]
    close = difflib.get_close_matches(option, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; {name} takes {', '.join(names)}"
