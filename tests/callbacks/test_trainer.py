"""What a Trainer is asked, and what is said where Lightning has no answer any more."""

from __future__ import annotations

import lightning.pytorch as L
import pytest
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from adaptive_dropout.callbacks.packages import callbacks_of
from adaptive_dropout.callbacks.trainer import logging_step, logs_now, private


def test_a_private_attribute_that_is_gone_is_named_with_the_version_that_had_it() -> None:
    with pytest.raises(RuntimeError, match=r"Trainer of lightning 2\..* has no '_gone'.*install lightning 2\.6"):
        private(L.Trainer(logger=False, accelerator="cpu"), "_gone")


def test_this_version_of_lightning_says_when_and_where_it_logs() -> None:
    trainer = L.Trainer(logger=False, accelerator="cpu")
    assert logging_step(trainer) == 0
    assert isinstance(logs_now(trainer), bool)


def test_callbacks_are_found_by_kind_in_their_order() -> None:
    stopping, checkpoint = EarlyStopping("val_loss"), ModelCheckpoint()
    trainer = L.Trainer(callbacks=[stopping, checkpoint], logger=False, accelerator="cpu")
    assert callbacks_of(trainer, EarlyStopping) == [stopping]
    assert callbacks_of(trainer, ModelCheckpoint, EarlyStopping) == [stopping, checkpoint]
