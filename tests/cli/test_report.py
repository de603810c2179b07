"""Runs as one page: what it says, that it says it of any name, and what is wrong with a run in one line."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from adaptive_dropout.cli import main
from tests.cli.commands import error_of
from tests.cli.runs import recorded

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Page(HTMLParser):
    """The text of a page by its rows, and all tags with their attributes."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._cell = "", False
        self.feed(Path(path).read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self._cell = tag in ("td", "th", "a") and bool(self.rows)

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._cell = False


def report(*runs: Path) -> Page:
    assert main(["report", *map(str, runs), "-o", "page.html"]) == 0
    return Page("page.html")


def test_a_run_has_its_best_its_rewinds_its_rates_and_every_decision() -> None:
    page = report(recorded(Path("a run")))
    assert "0.6000 at step 30" in page.text
    assert "1 (at steps 40)" in page.text
    assert "0.200 at the best validation, 0.100 at the start, 0.350 at the end" in page.text
    assert ["dropout0", "0.100", "0.200", "0.350", "0.100", "0.350"] in page.rows
    decisions = page.rows[-5:]
    assert [row[0] for row in decisions] == ["10", "20", "30", "40", "50"]
    assert decisions[3] == ["40", "0.7000", "0.3000", "0.4000", "0.250 → 0.300", "rewind", "validation stalled: raised"]
    assert "Comparison" not in page.text
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 2


def test_a_deep_model_has_a_row_of_colour_for_each_layer() -> None:
    page = report(recorded(Path("deep"), layers=40))
    assert any("each layer" in str(attributes.get("alt")) for tag, attributes in page.tags if tag == "img")


@pytest.mark.slow
def test_several_runs_are_compared_at_the_top_best_first_to_see() -> None:
    fixed = [recorded(Path(f"fixed{p}"), p, step_up=0.0) for p in (0.0, 0.3)]
    page = report(recorded(Path("adaptive")), *fixed)
    assert page.text.index("Comparison") < page.text.index("Decisions")
    assert page.rows[1] == ["adaptive", "0.6000", "30", "50", "0.100", "0.200", "0.350", "1", "0", "RewindController"]
    assert page.rows[2] == ["fixed0.0", "0.5000", "30", "50", "0.000", "0.000", "0.000", "0", "0", "FixedController"]
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == ["#run-1", "#run-2", "#run-3"]
    assert {link[1:] for link in links if link} <= {attributes.get("id") for _, attributes in page.tags}
    assert any("over fixed rates" in str(attributes.get("alt")) for tag, attributes in page.tags if tag == "img")
    marked = [place for place, (tag, a) in enumerate(page.tags) if tag == "tr" and a.get("class") == "marked"]
    names = [a["href"] for tag, a in page.tags[marked[0] : marked[0] + 4] if tag == "a"]
    assert names == ["#run-2"], "the best is not marked"


def test_what_was_run_comes_from_the_configuration_beside_it() -> None:
    folder = recorded(Path("a"))
    network = "network: {class_path: my.MLP, init_args: {p: 0.0, bias: false}}"
    data = "data: {class_path: my.Digits, init_args: {n: 5}}"
    (folder / "config.yaml").write_text(f"model: {{class_path: my.Task, init_args: {{{network}}}}}\n{data}\n")
    text = report(folder).text
    assert "MLP(p=0.0)" in text
    assert "Task()" in text
    assert "Digits(n=5)" in text
    assert "RewindController(controller=Chain(" in text


@pytest.mark.slow
def test_runs_on_different_data_are_said_not_to_compare() -> None:
    for name in ("a", "b"):
        (recorded(Path(name)) / "config.yaml").write_text(f"data: {{class_path: my.{name}}}")
    assert "do not compare" in report(Path("a"), Path("b")).text
    (Path("b") / "config.yaml").write_text("data: {class_path: my.a}")
    assert "do not compare" not in report(Path("a"), Path("b")).text


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_a_script() -> None:
    page = report(recorded(Path("a")), recorded(Path("b")))
    assert not {"script", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    sources = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all(re.match(r"data:|#", value or "") for value in sources)
    assert "@import" not in Path("page.html").read_text()
    assert "url(" not in Path("page.html").read_text()


def test_names_are_text_whatever_they_look_like() -> None:
    evil = "<script>alert(1)<{}b>&\"'$x$"
    page = report(recorded(Path(evil.replace("/", "")), name=evil), recorded(Path("b")))
    assert "script" not in {tag for tag, _ in page.tags}
    assert evil in page.text
    assert [evil.format(0), "0.100", "0.200", "0.350", "0.100", "0.350"] in page.rows


def test_the_same_runs_give_the_same_page() -> None:
    report(recorded(Path("a")))
    first = Path("page.html").read_bytes()
    report(Path("a"))
    assert Path("page.html").read_bytes() == first


def test_two_runs_of_one_name_are_told_apart() -> None:
    page = report(recorded(Path("x/run")), recorded(Path("y/run")))
    assert [row[0] for row in page.rows[1:3]] == ["x/run", "y/run"]


def test_a_run_cut_off_is_shown_as_far_as_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    file = recorded(Path("a")) / "decisions.jsonl"
    file.write_text(file.read_text()[:-30])
    page = report(Path("a"))
    assert page.rows[-1][0] == "40"
    assert "the 4 decisions before it were read" in page.text
    assert "adaptive-dropout: warning: " in capsys.readouterr().err


def test_a_run_that_ended_before_its_first_validation_is_shown() -> None:
    file = recorded(Path("a")) / "decisions.jsonl"
    file.write_text(file.read_text().splitlines()[0] + "\n")
    assert "None: the run ended before its first validation" in report(Path("a")).text


def test_what_is_wrong_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    run = str(recorded(Path("a")))
    Path("empty").mkdir()
    Path("text.jsonl").write_text("no run\n")
    assert "required: runs" in error_of(["report"], capsys)
    assert "no run at 'nowhere'" in error_of(["report", run, "nowhere"], capsys)
    assert "no run in 'empty'" in error_of(["report", "empty"], capsys)
    assert "'text.jsonl' holds no decisions" in error_of(["report", "text.jsonl"], capsys)
    assert error_of(["report", run, "--zzz", "1"], capsys) == "unrecognized arguments: --zzz 1"
    assert "'empty' is a folder" in error_of(["report", run, "-o", "empty"], capsys)
    assert "nowhere/page.html" in error_of(["report", run, "-o", "nowhere/page.html"], capsys)
    assert not list(Path().rglob("*.html"))


def test_a_configuration_that_cannot_be_read_is_said() -> None:
    (recorded(Path("a")) / "config.yaml").write_text("model: [1")
    assert "config.yaml cannot be read" in report(Path("a")).text
