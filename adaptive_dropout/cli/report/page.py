"""The page around the sections: one file, nothing loaded from elsewhere, no scripts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from adaptive_dropout import __version__
from adaptive_dropout.cli.report.comparison import comparison
from adaptive_dropout.cli.report.markup import escaped
from adaptive_dropout.cli.report.reported import Reported
from adaptive_dropout.cli.report.section import section

__all__ = ["page"]

# The policy makes the browser refuse everything that is not in the file.
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header><h1>{title}</h1></header>
<main>
{sections}
</main>
<footer>adaptive-dropout {version}</footer>
</body>
</html>
"""


def page(runs: Sequence[Reported]) -> str:
    """Return the page of ``runs``: a comparison if there are several, then a section for each."""
    anchors = [f"run-{number}" for number in range(1, len(runs) + 1)]
    sections = [section(run, anchor) for run, anchor in zip(runs, anchors, strict=True)]
    if len(runs) > 1:
        sections.insert(0, comparison(runs, anchors))
    title = f"Dropout rates of {runs[0].name}" if len(runs) == 1 else f"Dropout rates of {len(runs)} runs"
    style = (files(__package__) / "style.css").read_text(encoding="utf-8")
    return PAGE.format(title=escaped(title), style=style, sections="\n".join(sections), version=__version__)
