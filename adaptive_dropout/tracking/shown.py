"""`shown`: text that someone else wrote, such as the name of a layer in a run's file, made fit to be read."""

from __future__ import annotations

__all__ = ["shown"]


def shown(text: str, longest: int = 300) -> str:
    r"""Return ``text`` on one line without control characters, and without its middle if longer than ``longest``.

    Terminals obey control characters, overrides of the direction reorder what stands around them, and lone surrogates
    cannot be written. Markup is left as it is: what understands markup escapes it.

    >>> shown("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    >>> shown("encoder.layers.11.attention.dropout", longest=20)
    'encoder.l…on.dropout'
    """
    if len(text) > longest:
        head = (longest - 1) // 2
        text = f"{text[:head]}…{text[head + 1 - longest :]}"
    return text if text.isprintable() else "".join(map(_spelled_out, text))


def _spelled_out(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
