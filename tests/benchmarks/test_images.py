"""Noise in a residual network: what others compute, where the noise goes, and one short run of each method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import adaptive_dropout as ad
from benchmarks.images.__main__ import SIZES, Row
from benchmarks.images.methods import METHODS
from benchmarks.images.network import NoNoise, ResNet
from benchmarks.images.noises import AnywhereDropBlock2d, inside_drop_block
from benchmarks.images.table import write_table
from benchmarks.images.training import Images, train

TINY = replace(SIZES["small"], width=4, n_train=40, n_test=20, epochs=2, batch=20)


def images(n: int) -> Images:
    numbers = torch.Generator().manual_seed(n)
    x = torch.randint(0, 256, (n, 32, 32, 3), dtype=torch.uint8, generator=numbers)
    return Images(x, torch.randint(0, 10, (n,), generator=numbers))


def test_blocks_anywhere_lose_seven_times_what_was_asked_and_blocks_inside_a_tenth() -> None:
    torch.manual_seed(1)
    ones = torch.ones(2000, 1, 8, 8)
    anywhere, inside = AnywhereDropBlock2d(0.1)(ones), inside_drop_block(ones, 0.1)
    assert 0.6 < (anywhere == 0).double().mean() < 0.75
    assert 0.085 < (inside == 0).double().mean() < 0.105


def test_each_noise_stands_at_its_places() -> None:
    kinds = {"DropBlock, exact": ad.DropBlock2d, "DropPath": ad.DropPath, "ShakeDrop": ad.ShakeDrop}
    for name, kind in kinds.items():
        network = ResNet(2, 4, METHODS[name].branch, METHODS[name].map)
        layers = [layer for layer in network.modules() if isinstance(layer, kind)]
        assert len(layers) == (4 if "Block" in name else 6)
        if "Block" not in name:
            assert [round(layer.p * 12) for layer in layers] == [1, 2, 3, 4, 5, 6]
        assert network(torch.zeros(3, 3, 32, 32)).shape == (3, 10)
    quiet = ResNet(1, 4, METHODS["none"].branch, METHODS["none"].map)
    assert sum(isinstance(layer, NoNoise) for layer in quiet.modules()) == 6
    assert not ad.get_rates(quiet)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_run_gives_its_numbers(method: str) -> None:
    numbers = train(TINY, method, 0, (images(40), images(20)))
    assert 0 <= numbers["test_accuracy"] <= 1
    assert numbers["test_loss"] > 0
    if method == "DropBlock, exact":
        assert 0.05 < numbers["lost"] < 0.12  # p of the step before the last is .075


def test_the_table_has_losing_rows_first_with_paired_differences(tmp_path: Path) -> None:
    place = dict.fromkeys(("started", "commit", "versions", "allocator"), "-") | {"machine": "one, 2 cores, load 0.5"}
    run = Row(**place, device="cpu", threads=1, size="small", settings="-", method="none", seed=0, test_accuracy=0.5,
              test_loss=1.5, train_loss=1.2, lost=0.0, seconds=3.0)  # fmt: skip
    worse = [replace(run, method="ShakeDrop", seed=seed, test_accuracy=0.4 + 0.01 * seed) for seed in (0, 1)]
    write_table([run, replace(run, seed=1), *worse], tmp_path / "table.md")
    lines = [line for line in (tmp_path / "table.md").read_text().splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| ShakeDrop", "| none"]
    assert "-9.50 (0.50)" in lines[2]
    assert "one, 2 cores; one thread a run; loads of 0.5 to 0.5." in (tmp_path / "table.md").read_text()
