"""Folders and files that cannot be: each is refused in one line that names it and says what would be right."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from adaptive_dropout.tracking.folders import check_file, check_folder, make_folder

LONG = "a" * 300

REFUSED = {
    "file.txt": "'file.txt' is a file; name a folder, or a new place",
    "file.txt/run/1": "no folder can be made at 'file.txt/run/1': 'file.txt' is a file; name a folder, or a new place",
    "link": "'link' is a link to 'nowhere', which does not exist; make that folder, or name another",
    "link/run": "no folder can be made at 'link/run': 'link' is a link to 'nowhere', which does not exist; make that",
    "circle": "'circle' is a link to 'circle', which does not exist; make that folder, or name another",
    LONG: "the name 'aaa",
    f"missing/{LONG}/run": "the name 'aaa",
    "é" * 150: "the name 'ééé",
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.txt").write_text("1")
    Path("link").symlink_to("nowhere")
    Path("circle").symlink_to("circle")


@pytest.mark.parametrize("refuse", [check_folder, make_folder])
@pytest.mark.parametrize("path", REFUSED)
def test_what_cannot_be_a_folder_is_refused_in_one_line(path: str, refuse: Callable[[str], object]) -> None:
    with pytest.raises(OSError, match=f"^{re.escape(REFUSED[path])}") as told:
        refuse(path)
    assert "\n" not in str(told.value)
    assert "Errno" not in str(told.value)


@pytest.mark.parametrize("path", [".", "here", "here/below", "linked/here"])
def test_checking_makes_nothing_and_making_makes_all(path: str, tmp_path: Path) -> None:
    Path("there").mkdir()
    Path("linked").symlink_to("there")
    before = sorted(tmp_path.rglob("*"))
    check_folder(path)
    assert sorted(tmp_path.rglob("*")) == before
    assert make_folder(path).is_dir()
    check_folder(path)


def test_a_folder_that_may_not_be_written_in_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("kept").mkdir()
    monkeypatch.setattr("os.access", lambda place, mode: Path(place) != Path("kept"))
    for folder, below in (("kept", ""), ("kept/run", "no folder can be made at 'kept/run': ")):
        with pytest.raises(PermissionError, match=f"^{below}nothing may be written in 'kept'; name another folder$"):
            check_folder(folder)
    check_folder("other")


def test_what_only_the_system_knows_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OSError, match=r"^no folder can be made at 'here' \(No space left on device\); name another$"):
        make_folder("here")


def test_a_path_that_is_longer_than_the_system_takes_is_one_line() -> None:
    with pytest.raises(
        OSError, match=r"^no folder can be made at 'name/name/.*….*' \(File name too long\); name another$"
    ):
        make_folder("/".join(["name"] * 2000))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (".", r"'\.' is a folder; name a file, such as 'name'"),
        ("missing/report.html", r"'missing/report.html' has no folder to lie in; make 'missing', or name another"),
        ("file.txt/report.html", r"'file.txt' is a file; name a folder, or a new place"),
        (LONG, "the name 'aaa"),
    ],
)
def test_what_cannot_be_a_file_is_refused_in_one_line(path: str, line: str) -> None:
    with pytest.raises(OSError, match=f"^{line}"):
        check_file(path)


@pytest.mark.parametrize("path", ["file.txt", "new.html", os.devnull])
def test_a_file_that_can_be_written_is_not_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda place, mode: Path(place) != Path("/dev"))  # as it is for users
    check_file(path)
