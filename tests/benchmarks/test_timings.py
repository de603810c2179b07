"""The benchmarks that measure times, run with short times."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.inference.__main__ import main, write_lines
from benchmarks.inference.networks import NETWORKS
from benchmarks.study.rows import read_cells


@pytest.mark.slow
def test_a_run_of_inference_measures_every_network_and_its_means_agree(tmp_path: Path) -> None:
    out = tmp_path / "results.csv"
    main(["--samples", "20", "--batch", "2", "--seconds", "0", "--out", str(out)])
    rows = read_cells(out)
    assert [row["network"] for row in rows] == list(NETWORKS)
    assert all(float(row["apart"]) < 5 for row in rows)
    assert len((tmp_path / "table.md").read_text().splitlines()) == 6 + len(NETWORKS)


@pytest.mark.parametrize(("ours", "shown"), [("10", "| 10.00 |"), ("20", "| **5.00** |")])
def test_a_missed_target_is_shown_as_such(ours: str, shown: str) -> None:
    place = dict.fromkeys(("started", "samples", "batch", "machine", "threads", "versions", "commit"), "1")
    row = place | {"network": "CNN", "loop_ms": "100", "ours_ms": ours, "target": "10", "apart": "2.0"}
    assert shown in list(write_lines([row]))[-1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_attention_left_alone_or_converted_is_one_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("timm", "transformers"):
        pytest.importorskip(package)
    from benchmarks.compiled import __main__ as compiled  # transformers takes seconds
    from benchmarks.compiled.models import WAYS

    monkeypatch.setattr(compiled, "SIZES", compiled.SIZES[:1])
    options = ["--backend", "eager", "--models", "BERT", "--changes", "1", "--seconds", "0", "--out", str(tmp_path)]
    compiled.main(options)
    rows = read_cells(tmp_path / "models.csv")
    assert [(row["model"], row["way"]) for row in rows] == [("BERT", way) for way in WAYS]
    for row in rows:
        assert (row["graphs"], row["breaks"], row["recompiled"]) == ("1", "0", "0")
    assert int(rows[1]["rates"]) > int(rows[0]["rates"])
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 2 + len(rows) + 2 + 1
