"""The times of skipped layers and recurrent loops, with short times and small networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.structure.__main__ import main
from benchmarks.structure.layers import WAYS
from benchmarks.structure.loops import KINDS, SIZES, Written
from benchmarks.study.rows import read_cells


@pytest.mark.slow
def test_a_run_measures_every_contender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.structure.loops.SIZES", dict.fromkeys(SIZES, (3, 2, 4)))
    out = tmp_path / "results.csv"
    main(["--channels", "8", "--seconds", "0", "--out", str(out)])
    rows = read_cells(out)
    assert [row["contender"] for row in rows if row["what"] == "layers"] == list(WAYS)
    assert len(rows) == len(WAYS) + len(SIZES) * sum(map(len, KINDS.values()))
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 2 + len(WAYS) + 2 + len(KINDS) * len(SIZES)


def test_the_loop_that_is_compared_computes_the_same() -> None:
    x = torch.randn(5, 3, 4)
    for kind, units in (("LSTM", 4), ("GRU", 4)):
        reference = KINDS[kind]["torch's, without zoneout"](units)
        written = KINDS[kind]["a loop over torch's cell"](units)
        assert isinstance(written, Written)
        written.p = tuple(0.0 for _ in written.p)
        written.cell.load_state_dict({name.removesuffix("_l0"): w for name, w in reference.state_dict().items()})
        assert torch.allclose(written(x)[0], reference(x)[0], atol=1e-6)
