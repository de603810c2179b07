"""Text, tables and figures as HTML. All text is escaped here, also the names of layers and runs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import matplotlib
from matplotlib.figure import Figure

from adaptive_dropout.tracking.shown import shown

__all__ = ["escaped", "facts", "image", "number", "paragraph", "table"]


def escaped(text: str, longest: int = 300) -> str:
    """Return ``text`` as HTML that shows it, at most ``longest`` characters of it."""
    return escape(shown(text, longest))


def paragraph(text: str, kind: str = "") -> str:
    """Return ``text`` as a paragraph of the style ``kind``."""
    return f'<p class="{kind}">{escaped(text)}</p>' if kind else f"<p>{escaped(text)}</p>"


def facts(values: Mapping[str, str]) -> str:
    """Return ``{name: value}`` as a list of terms."""
    return "<dl>" + "".join(f"<dt>{escaped(k)}</dt><dd>{escaped(v, 2000)}</dd>" for k, v in values.items()) + "</dl>"


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], marked: Sequence[int] = (), links: Sequence[str] = ()
) -> str:
    """Return a table that scrolls inside its own box; the first column names the rows; ``marked`` rows stand out.

    With ``links`` the name of each row leads to the part of the page that is called so.
    """
    top = "".join(f'<th scope="col">{escaped(cell)}</th>' for cell in head)
    body, standing_out = "", set(marked)
    for place, (name, *cells) in enumerate(rows):
        kind = ' class="marked"' if place in standing_out else ""
        title = f'<a href="#{links[place]}">{escaped(name)}</a>' if links else escaped(name)
        body += f'<tr{kind}><th scope="row">{title}</th>' + "".join(f"<td>{escaped(c)}</td>" for c in cells) + "</tr>"
    return f'<div class="box" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def image(figure: Figure, shows: str) -> str:
    """Return ``figure`` as vector graphics inside the page; ``shows`` is its text for those who cannot see it."""
    file = io.BytesIO()
    # So that the same run gives the same file, to the byte.
    with matplotlib.rc_context({"svg.hashsalt": "adaptive_dropout", "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    data = base64.b64encode(file.getvalue()).decode()
    return f'<figure><img alt="{escaped(shows)}" src="data:image/svg+xml;base64,{data}"></figure>'


def number(value: float | None, digits: int = 4) -> str:
    """Return ``value`` to ``digits`` significant digits, nothing for None."""
    return "" if value is None else f"{value:#.{digits}g}".removesuffix(".")
