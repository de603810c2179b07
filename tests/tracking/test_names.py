"""The names of the metrics are a public contract: dashboards are built on them."""

from __future__ import annotations

from dataclasses import dataclass

import adaptive_dropout as ad
from adaptive_dropout.tracking import names
from adaptive_dropout.tracking.names import rate_keys, state_metrics


def test_what_only_wandb_gets_has_names_of_its_own() -> None:
    assert {name: getattr(names, name) for name in names.__all__ if name.isupper()} == {
        "ALPHA": "dropout_alpha",
        "RATE": "dropout",
        "SPARSITY": "dropout_sparsity",
        "CONTROL": "dropout_control",
        "AXIS": "trainer/global_step",
        "CONFIG": "dropout_control",
        "HISTOGRAM": "dropout_control/rates",
        "TRACE": "dropout_control/trace",
        "SUMMARY": "dropout_summary",
        "TABLE": "dropout_decisions",
        "FIGURE": "dropout_rates",
    }


def test_a_rate_is_logged_under_its_layer_with_underscores() -> None:
    assert rate_keys(["encoder.0.dropout1", "head"]) == {
        "encoder.0.dropout1": "dropout/encoder_0_dropout1",
        "head": "dropout/head",
    }


def test_names_hold_only_what_wandb_can_sort_and_filter() -> None:
    assert list(rate_keys(["a-b c.é"]).values()) == ["dropout/a_b_c__"]


def test_two_rates_never_share_a_name() -> None:
    assert list(rate_keys(["a.b", "a_b", "a-b"]).values()) == ["dropout/a_b", "dropout/a_b_2", "dropout/a_b_3"]


@dataclass(frozen=True)
class Memory(ad.State):
    best: float | None = None
    count: int = 3


def test_every_number_of_a_state_is_logged() -> None:
    assert state_metrics(Memory({"a": 0.1}, improved=True, reason="because")) == {
        "dropout_control/improved": 1.0,
        "dropout_control/rewind": 0.0,
        "dropout_control/restart": 0.0,
        "dropout_control/count": 3.0,
    }
    assert state_metrics(Memory({}, best=0.25))["dropout_control/best"] == 0.25


def test_the_numbers_of_nested_states_are_logged_under_their_part() -> None:
    controller = ad.Partition({"conv*": ad.PlateauController(), "*": ad.FixedController()})
    state = controller.update(controller.init({"conv1": 0.1, "fc": 0.2}), {"train_loss": 1.0, "val_loss": 2.0})
    numbers = state_metrics(state)
    assert [value for name, value in numbers.items() if name.endswith("best")] == [2.0]
    assert all(name.startswith("dropout_control/") for name in numbers)
    assert not any(name.endswith(("conv1", "fc")) for name in numbers)
