"""The page as a browser shows it; skipped where there is none."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from typing import Any

import pytest

from adaptive_dropout.cli import main
from tests.cli.runs import recorded

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
WIDTHS = (1280, 390)

# The page in a frame of each width, because a window may have a least width. What can be seen is written into the
# document, which the browser prints.
FRAMES = """<!DOCTYPE html><body>{frames}<pre id="seen"></pre><script>
const seen = {{}};
addEventListener("load", () => {{
  for (const frame of document.querySelectorAll("iframe")) {{
    const page = frame.contentDocument, root = page.documentElement;
    seen[frame.width] = {{
      page: root.scrollWidth,
      figures: [...page.images].map(image => [image.complete && image.naturalWidth > 0,
        image.getBoundingClientRect().left, image.getBoundingClientRect().width, image.clientHeight]),
      loaded: frame.contentWindow.performance.getEntriesByType("resource").map(entry => entry.name)
        .filter(name => !name.startsWith("data:")),
    }};
  }}
  document.getElementById("seen").textContent = JSON.stringify(seen);
}});
</script></body>"""


@pytest.fixture(scope="module")
def browsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[str]]:
    """What the browser saw of a report at each width, and what it wrote to its console."""
    if BROWSER is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    folder = tmp_path_factory.mktemp("report")
    runs = [recorded(folder / "adaptive"), recorded(folder / "deep", layers=100, name="encoder.{}.dropout")]
    runs += [recorded(folder / f"fixed{p}", p, step_up=0.0) for p in (0.0, 0.3)]
    assert main(["report", *map(str, runs), "-o", str(folder / "page.html")]) == 0
    page = escape((folder / "page.html").read_text())
    frames = "".join(f'<iframe width="{width}" height="900" srcdoc="{page}"></iframe>' for width in WIDTHS)
    (folder / "frames.html").write_text(FRAMES.format(frames=frames))
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'me'}",
    ]
    command = [BROWSER, *flags, "--virtual-time-budget=20000", "--dump-dom", (folder / "frames.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    seen = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
    assert seen, done.stderr
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(unescape(seen[1])), console


def test_the_console_is_silent(browsed: tuple[dict[str, Any], list[str]]) -> None:
    assert browsed[1] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_is_seen_whole(browsed: tuple[dict[str, Any], list[str]], width: int) -> None:
    figures = browsed[0][str(width)]["figures"]
    assert len(figures) == 2 + 4 * 2 + 1  # the comparison, two of each run, and the heat map
    for decoded, left, wide, high in figures:
        assert decoded
        assert left >= 0
        assert left + wide <= width
        assert wide >= min(0.8 * width, 400)
        assert high >= 0.4 * wide


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_no_wider_than_the_window(browsed: tuple[dict[str, Any], list[str]], width: int) -> None:
    assert 0.9 * width < browsed[0][str(width)]["page"] <= width


def test_nothing_is_fetched(browsed: tuple[dict[str, Any], list[str]]) -> None:
    assert [seen["loaded"] for seen in browsed[0].values()] == [[], []]
