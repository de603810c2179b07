from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.inference.__main__ import main, write_lines
from benchmarks.inference.networks import NETWORKS


def test_a_run_measures_every_network_and_its_means_agree(tmp_path: Path) -> None:
    out = tmp_path / "results.csv"
    main(["--samples", "20", "--batch", "2", "--seconds", "0", "--out", str(out)])
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows] == list(NETWORKS)
    assert all(float(row["apart"]) < 5 for row in rows)
    assert len((tmp_path / "table.md").read_text().splitlines()) == 6 + len(NETWORKS)


@pytest.mark.parametrize(("ours", "shown"), [("10", "| 10.00 |"), ("20", "| **5.00** |")])
def test_a_missed_target_is_shown_as_such(ours: str, shown: str) -> None:
    place = dict.fromkeys(("started", "samples", "batch", "machine", "threads", "versions", "commit"), "1")
    row = place | {"network": "CNN", "loop_ms": "100", "ours_ms": ours, "target": "10", "apart": "2.0"}
    assert shown in list(write_lines([row]))[-1]
