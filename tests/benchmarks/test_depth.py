"""Rates over depth: the profile, where it is put, and what is made of the results."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.networks import GPT
from adaptive_dropout.probability import logit
from adaptive_dropout.processes import one_quiet_thread
from benchmarks.depth.experiment import DEPTH, PAGE
from benchmarks.depth.gain import choose, find_sweeps, gain_of_tilt, oracle, oracle_gain
from benchmarks.depth.networks import VisionTransformer, deep_mlp, four_site_cnn
from benchmarks.depth.profile import find_layers, make_profile, tilted
from benchmarks.report.page import write_page
from benchmarks.study.study import Choice, Study
from benchmarks.supervised.training import TrainedRow, train
from tests.benchmarks.digits_task import DIGITS_CNN, cell, row

MEANS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
OFF = functools.partial(ad.Dropout, 0.0)
NETWORKS = {
    "mlp": (deep_mlp(OFF), torch.zeros(2, 3, 32, 32), 6),
    "cnn": (four_site_cnn(1, 28, OFF), torch.zeros(2, 1, 28, 28), 4),
    "vit": (VisionTransformer(OFF, blocks=3), torch.zeros(2, 3, 32, 32), 3),
    "gpt": (GPT(5, 8, 4, 2, 8, OFF), torch.zeros(2, 8, dtype=torch.long), 4),
}


@pytest.mark.parametrize("layers", [2, 4, 6, 200])
@pytest.mark.parametrize("tilt", [-3.0, 3.0])
@pytest.mark.parametrize("p", [0.001, *MEANS, 0.99])
def test_a_profile_keeps_the_mean_rate_and_falls_by_its_tilt_in_even_steps(p: float, tilt: float, layers: int) -> None:
    rates = make_profile(p, tilt, layers)
    assert sum(rates) / layers == pytest.approx(p, rel=1e-12)
    steps = [logit(before) - logit(after) for before, after in itertools.pairwise(rates)]
    assert steps == pytest.approx([tilt / (layers - 1)] * (layers - 1), rel=1e-6)
    assert rates == pytest.approx(make_profile(p, -tilt, layers)[::-1])


def test_a_profile_without_slope_is_uniform() -> None:
    assert make_profile(0.3, 0.0, 4) == [0.3] * 4
    assert make_profile(0.3, 3.0, 1) == [0.3]
    assert make_profile(0.0, 3.0, 2) == [0.0] * 2
    with pytest.raises(ValueError, match=r"p has to be between 0 and 1, but got 1\.5"):
        tilted(1.5)


def test_a_block_is_a_layer_and_an_embedding_is_apart() -> None:
    names = (
        "embedding_dropout",
        "blocks.0.attention.dropout",
        "blocks.0.residual_dropout1",
        "blocks.10.residual_dropout1",
    )
    assert find_layers(names) == ([list(names[1:3]), [names[3]]], [names[0]])


@pytest.mark.parametrize("name", NETWORKS)
def test_rates_fall_in_order_of_execution(name: str) -> None:
    network, inputs, layers = NETWORKS[name]
    tilted(0.2, 3.0).change(network)
    called: list[nn.Module] = []
    drops = [module for module in network.modules() if isinstance(module, ad.Dropout)]
    hooks = [module.register_forward_hook(lambda module, *_: called.append(module)) for module in drops]
    network.train()(inputs)
    for hook in hooks:
        hook.remove()
    assert called == drops
    rates = list(ad.get_rates(network).values())[name == "gpt" :]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == layers
    assert sum(rates) / len(rates) == pytest.approx(0.2)
    assert ad.get_rates(network).get("embedding_dropout", 0.2) == 0.2


def method(p: float, tilt: float) -> Choice:
    return Choice(f"tilted {tilt} {p}", "tilted", {"p": p, "tilt": tilt})


NONE = Choice("none", "none", {})
METHODS = (NONE, *(method(p, tilt) for tilt in (0.0, 3.0, -3.0) for p in (0.1, 0.3)))
STUDY = Study("small", (Choice("digits", "d", {}),), METHODS, (0, 1))


def rows() -> list[TrainedRow]:
    """Validation prefers .1 at tilt 3, by test .3 were better; uniform, .3; rising, nothing is as good as none."""
    losses = ((1.0, 1.0), (0.9, 0.5), (0.8, 0.75), (0.6, 0.5), (0.7, 0.25), (1.5, 1.5), (2.0, 2.0))
    make = functools.partial(row, task=STUDY.tasks[0].content)
    pairs = list(zip(METHODS, losses, strict=True))
    return [make(each, seed, (val,), test + seed * 0.1) for seed in (0, 1) for each, (val, test) in pairs]


def by_name(found: list[TrainedRow]) -> dict[str, list[TrainedRow]]:
    return {each.name: there for each in METHODS if (there := [row for row in found if row.method == each.name])}


def test_each_seed_chooses_by_validation_and_is_compared_with_its_own_uniform_rate() -> None:
    chosen = choose(find_sweeps(STUDY, by_name(rows())))
    assert [{tilt: mean for tilt, (mean, _) in each.items()} for each in chosen.values()] == [
        {-3: 0, 0: 0.3, 3: 0.1}
    ] * 2
    assert gain_of_tilt(chosen, 3.0) == pytest.approx((-0.25, 0.0))
    assert gain_of_tilt(chosen, -3.0) == pytest.approx((0.25, 0.0))
    assert [oracle(each) for each in chosen.values()] == [3.0, 3.0]
    assert oracle_gain(chosen) == pytest.approx((-0.25, 0.0))


def test_a_study_that_was_stopped_compares_the_means_that_every_tilt_has() -> None:
    stopped = [each for each in rows() if (each.method, each.seed) != (METHODS[3].name, 0)]
    first, second = choose(find_sweeps(STUDY, by_name(stopped))).values()
    assert (first[3.0][0], second[3.0][0]) == (0.3, 0.1)  # seed 0 has .1 at two tilts only
    uniform_only = [each for each in rows() if each.method in ("none", METHODS[1].name)]  # one tilt: nothing to gain
    assert oracle_gain(choose(find_sweeps(STUDY, by_name(uniform_only)))) == (0.0, 0.0)
    assert choose(find_sweeps(STUDY, by_name(rows()[:1]))) == {}
    assert oracle_gain({}) is None
    begun = [each for each in rows() if each.seed == 0 or each.method in ("none", METHODS[1].name)]
    assert list(choose(find_sweeps(STUDY, by_name(begun)))) == [0]  # seed 1 has only no dropout to compare


def test_the_table_shows_losing_tilts_first_and_says_what_was_not_run(tmp_path: Path) -> None:
    write_page(PAGE, [STUDY], [each for each in rows() if each.method != METHODS[6].name], tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    begin = lines.index("### small: digits") + 4
    assert lines[begin].startswith("| -3 | 2 | 0, 0 |")
    assert lines[begin + 1].startswith("| 0 | 2 | 0.1, 0.1 |")  # .3 was not run at every tilt
    assert lines[begin + 3].startswith("| oracle: +3, +3 | 2 | 0.1, 0.1 |")
    assert "12 of 14 runs; not run, with the number of seeds:" in lines
    assert "- tilt -3: mean 0.3 (2)" in lines
    assert [file.name for file in tmp_path.glob("*.png")] == ["small-digits-tilts.png"]


def test_the_committed_studies_have_three_tilts_at_ten_means_or_the_five_of_the_gpt() -> None:
    for file in sorted(DEPTH.folder.glob("*.yaml")):
        swept = [each.settings for each in DEPTH.study(str(file)).methods if each.kind == "tilted"]
        means = (0.02, 0.05, 0.1, 0.2, 0.3) if file.stem == "gpt" else MEANS
        assert {(each["tilt"], each["p"]) for each in swept} == {(s, p) for s in (-3.0, 0.0, 3.0) for p in means}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_a_cell_trains_for_real(tmp_path: Path) -> None:
    one_quiet_thread()
    trained_row = train(cell(), DIGITS_CNN(epochs=20, validations=2), tilted(0.1, -3.0), tmp_path, "cpu")
    assert trained_row.test_accuracy > 0.3  # 0.1 by guessing
    assert trained_row.final_rate == pytest.approx(0.1)
