from __future__ import annotations

import csv
from pathlib import Path

import pytest

pytest.importorskip("timm")
pytest.importorskip("transformers")

from benchmarks.compiled import __main__ as compiled
from benchmarks.compiled.models import WAYS


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_attention_left_alone_or_ours_is_one_graph_and_written_in_place_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "SIZES", compiled.SIZES[:1])
    compiled.main(
        ["--backend", "eager", "--models", "BERT", "--changes", "1", "--seconds", "0", "--out", str(tmp_path)]
    )
    with (tmp_path / "models.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["way"]) for row in rows] == [("BERT", way) for way in WAYS]
    for row in rows:
        written = row["way"] == "written in hundredths"
        assert (row["graphs"], row["breaks"], row["recompiled"]) == ("1", "0", "0") or written
        assert not written or int(row["recompiled"]) >= 1
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 2 + len(rows) + 2 + 1
