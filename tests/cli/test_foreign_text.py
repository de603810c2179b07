"""Names and reasons that someone else wrote are shown as text: in terminals, in HTML, in figures, in W&B."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.cli import main, replay
from adaptive_dropout.cli.report.reported import Reported
from adaptive_dropout.cli.report.words import in_words
from adaptive_dropout.controllers import controller_to_dict, state_to_dict
from adaptive_dropout.plots import run_figure
from adaptive_dropout.steering import ControlLoop
from adaptive_dropout.tracking import Decision, Run
from adaptive_dropout.tracking.names import rate_keys
from adaptive_dropout.tracking.shown import shown
from adaptive_dropout.tracking.summary import decisions_table

FOREIGN = {
    "markup": "[bold red]a[/bold red]",
    "closing tag": "[/nothing]",
    "link": "[link=https://example.org]a[/link]",
    "html": "<img src=x onerror=alert(1)>",
    "screen cleared": "\x1b[2J\x1b[Hroot# ",
    "title of the terminal": "\x1b]0;a\x07",
    "eight-bit control": "\x9b2J",
    "overwritten line": "bad\rgood",
    "lines": "a\nadaptive-dropout: all is well",
    "right to left": "a\u202eb\u2066c",
    "lone surrogate": "a\ud800b",
    "nothing": "\x00",
    "mathematics": "$\\frac{",
    "long": "x" * 10_000,
}
RULE = ad.PlateauController()
BAD = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def foreign_run() -> Run:
    """Two decisions of a run whose layers, monitor and reasons have all of the names."""
    rates = dict.fromkeys(FOREIGN.values(), 0.3)
    start = state_to_dict(RULE.init(rates))
    run = Run(FOREIGN["markup"], controller_to_dict(RULE), "".join(FOREIGN.values()), rates, start)
    for step, reason in enumerate(FOREIGN.values(), start=1):
        run.decisions.append(
            Decision(step, {"val_loss": 1.0, "train_loss": 0.5, reason: 1.0}, rates, rates, reason=reason)
        )
    return run


@pytest.fixture(autouse=True)
def _in_a_folder_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    Path("decisions.jsonl").write_text("".join(f"{line}\n" for line in foreign_run().lines()))


@pytest.mark.parametrize("case", FOREIGN)
def test_shown_text_is_one_short_line_that_a_terminal_does_not_obey(case: str) -> None:
    text = shown(FOREIGN[case])
    assert text.isprintable()
    assert len(text) <= 300
    text.encode()


def test_what_can_be_read_stays_as_it_is() -> None:
    for text in ("encoder.layers.0", "größe", "層", "طبقة", "a [b] <c> $d$ 😀", "rate 0.1 → 0.2"):
        assert shown(text) == text


def test_a_report_shows_every_name_as_text() -> None:
    config = {"data": {"class_path": FOREIGN["html"], "init_args": FOREIGN}, "model": FOREIGN["screen cleared"]}
    Path("config.yaml").write_text(json.dumps(config))
    assert main(["report", "."]) == 0
    page = Path("report.html").read_text()
    assert not BAD.search(page)
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert "\\u202e" in page
    assert max(map(len, re.findall("x+", page))) < 2000


def test_a_replay_shows_every_name_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    run = foreign_run()  # shown as if a rule gave the reasons of the file
    states = [RULE.init(run.rates), *(ad.State(run.rates, reason=decision.reason) for decision in run.decisions)]
    Console().print(replay._table(run, states, "rule"))
    said = capsys.readouterr().out
    assert not BAD.search(said)
    assert "[bold red]a[/bold red]" in said
    assert "[/nothing]" in said


def test_an_error_and_a_warning_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    for reason in FOREIGN.values():
        Path("decisions.jsonl").write_text(json.dumps({"id": reason, reason: reason}))
        assert main(["report", "."]) == 2
        assert main(["report", reason.replace("\x00", "")]) == 2
        said = capsys.readouterr().err
        assert not BAD.search(said)
        assert len(said.splitlines()) == 2
        assert max(map(len, said.splitlines())) < 2100


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Glyph")
def test_figures_draw_every_name(tmp_path: Path) -> None:
    run = foreign_run()
    figure = run_figure(run.history(), title="".join(FOREIGN.values()))
    figure.savefig(tmp_path / "a.png")
    texts = [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title)]
    assert all(text.isprintable() and len(text) < 200 for text in texts)


def test_losses_that_no_axis_holds_are_left_out_of_the_figures() -> None:
    run = foreign_run()
    for decision, loss in zip(run.decisions, (1e308, -1e308, 1.0, 5e-324), strict=False):
        decision.signals.update(val_loss=loss, train_loss=-loss)  # type: ignore[attr-defined]
    assert [loss for _, _, loss in run.history().losses()] == [1.0, 5e-324, *[1.0] * (len(run.decisions) - 4)]


def test_names_in_wandb_are_short_and_plain() -> None:
    keys = rate_keys(FOREIGN.values())
    assert len(set(keys.values())) == len(FOREIGN)
    assert all(re.fullmatch(r"dropout/[\w/]{0,204}", key, re.ASCII) for key in keys.values())
    columns, rows = decisions_table(foreign_run())
    assert all(column.isprintable() and len(column) <= 300 for column in columns)
    assert all(row[1].isprintable() and len(row[1]) <= 300 for row in rows)


def test_a_resumed_run_names_the_checkpoints_controller_as_text() -> None:
    said: list[str] = []
    loop = ControlLoop(RULE, nn.Sequential(nn.Linear(2, 2), ad.Dropout(0.3)), warn=said.append)
    loop.load_state_dict(loop.state_dict() | {"controller": {"class_path": "".join(FOREIGN.values()), "init_args": {}}})
    assert said
    assert all(line.isprintable() and len(line) < 1200 for line in said)


def test_a_configuration_that_repeats_itself_is_cut_off() -> None:
    laughs: object = "ha"
    for _ in range(40):
        laughs = [laughs] * 9
    assert len(in_words(laughs)) < 10_000
    endless: list[object] = []
    endless.append(endless)
    assert in_words(endless).startswith("[[[[")
    assert in_words({"class_path": laughs, "init_args": laughs}).startswith("class_path: [")
    assert in_words({"a": 10**5000}) == "a: …"


HOSTILE = {
    "deep": ("[\n" * 2_000, True),
    "endless": ("a: &a [*a]\ndata: *a", False),
    "of other kinds": ("data: {class_path: [1], init_args: [1]}\nmodel: {init_args: 3}", False),
    "large": ("#" * 2**21, True),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_configuration_beside_a_run_is_reported_or_left_out(case: str) -> None:
    text, left_out = HOSTILE[case]
    Path("config.yaml").write_text(text)
    reported = Reported.of("a", foreign_run(), Path(), [])
    assert bool(reported.notes) == left_out
    assert reported.facts()
