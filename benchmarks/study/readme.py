"""Generated parts of a page that people write: what stands between two markers."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_between"]


def write_between(page: Path, name: str, text: str) -> None:
    """Put ``text`` between ``<!-- name: generated -->`` and ``<!-- name: end -->`` in ``page``, which has both once.

    Raises:
        ValueError: the page does not have both, in this order.
    """
    begin, end = f"<!-- {name}: generated -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"{page}: the generated part has to stand between {begin!r} and {end!r}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")
