"""Which metric a run is steered by: as said, as others watch it, or as its values show."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from adaptive_dropout.callbacks.meters.monitored import Monitored


def found(logged: dict[str, Any] | list[str], *callbacks: Any, monitor: str | None = None) -> Monitored:
    monitored, trainer = Monitored(monitor), SimpleNamespace(callbacks=list(callbacks))
    names = dict.fromkeys(logged) if isinstance(logged, list) else logged
    monitored.find(trainer, names)  # type: ignore[arg-type]
    return monitored


@pytest.mark.parametrize(
    ("logged", "name"),
    [
        (["val_acc", "val_loss", "val_loss_ema"], "val_loss"),
        (["valid/loss", "valid/acc"], "valid/loss"),
        (["val_loss", "val_loss_epoch"], "val_loss"),
        (["nll"], "nll"),
        (["val_loss/dataloader_idx_1", "acc"], "val_loss/dataloader_idx_1"),
    ],
)
def test_the_loss_that_validation_logs_is_found(logged: list[str], name: str) -> None:
    assert found(logged).name == name


def test_what_other_callbacks_minimise_comes_first() -> None:
    watch = ModelCheckpoint(monitor="val/nll", mode="min"), EarlyStopping(monitor="val_acc", mode="max")
    assert found(["val_loss", "val/nll", "val_acc"], *watch).name == "val/nll"


def test_several_that_could_be_meant_are_listed() -> None:
    with pytest.raises(ValueError, match=r"validation logs \['a_loss', 'b_loss'\]; say which of them is the loss"):
        found(["a_loss", "b_loss", "acc"])
    with pytest.raises(ValueError, match="logs no metric to steer by"):
        found([])


def test_a_name_that_is_not_logged_is_told_with_those_that_are() -> None:
    with pytest.raises(KeyError, match=r"monitor 'vall' is not logged; the metrics at validation are \['val_loss'\]"):
        found(["val_loss"], monitor="vall")


def test_a_callback_that_maximises_it_or_its_metric_says_that_it_is_a_score() -> None:
    score = found(["f"], ModelCheckpoint(monitor="f", mode="max"), monitor="f")
    metric = found({"f": SimpleNamespace(value=SimpleNamespace(higher_is_better=True))})
    assert (score.sign, score.sure, metric.sign, metric.sure) == (-1, True, -1, True)
    assert score.loss(0.75) == -0.75


def test_a_score_is_known_by_rising_three_times_while_the_training_loss_falls() -> None:
    monitored, before = found(["f"]), [0.5, 0.52, 0.48]
    for _ in range(3):
        assert monitored.sign == 1
        monitored.observe(before, [0.8, 0.82, 0.78], training=(1.2, 0.6))
    assert (monitored.sign, monitored.sure) == (-1, True)


def test_a_loss_that_falls_is_one_for_good_and_nothing_is_said_before_training_learns() -> None:
    monitored = found(["f"])
    monitored.observe([0.5, 0.52], [0.9, 0.92], training=(1.2, 1.2))
    assert not monitored.sure
    monitored.observe([2.3, 2.31], [1.0, 1.02], training=(2.3, 1.1))
    assert (monitored.sign, monitored.sure) == (1, True)


def test_what_is_called_a_loss_is_never_turned_round_by_its_values() -> None:
    monitored = found(["val_loss"])
    for _ in range(5):
        monitored.observe([0.1, 0.11], [0.5, 0.52], training=(1.2, 0.6))
    assert monitored.sign == 1


def test_it_goes_on_from_a_checkpoint() -> None:
    first, second = found(["f"], ModelCheckpoint(monitor="f", mode="max")), Monitored(None)
    second.load_state_dict(first.state_dict())
    assert vars(second) == vars(first)
    assert Monitored("loss/dataloader_idx_2").loader == 2
