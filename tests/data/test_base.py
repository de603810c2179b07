"""What every data module in memory promises: whole batches, an order of its own, resumable, without false advice."""

from __future__ import annotations

import warnings

import lightning.pytorch as L
import pytest
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from adaptive_dropout.data import Digits, Examples, TensorDataModule

# Lightning 2.6 asks torch 2.15's pytree in a way that torch has deprecated; nothing in the data decides that.
pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning")


class Numbers(TensorDataModule):
    """The numbers 0 ... 9 to train on, 10 ... 14 to validate, 15 ... 19 to test."""

    reads = 0

    def examples(self):
        self.reads += 1
        x = torch.arange(20.0)
        return tuple(Examples(part, part.long()) for part in (x[:10], x[10:15], x[15:]))


class Recorder(L.LightningModule):
    """Remembers the order in which examples come."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch):
        self.seen.append(batch[1].tolist())
        return self.weight * batch[0].mean()

    def validation_step(self, batch):
        self.log("val_loss", batch[0].mean())

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(tmp_path, epochs, **options):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu", "logger": False}
    return L.Trainer(max_epochs=epochs, default_root_dir=tmp_path, **(quiet | options))


@pytest.fixture
def many_cores(monkeypatch):
    """Lightning asks for workers only where there are cores for them."""
    where = "lightning.pytorch.trainer.connectors.data_connector.suggested_max_num_workers"
    monkeypatch.setattr(where, lambda devices: 8)


def epoch(data):
    return [y for _, batch in data.train_dataloader() for y in batch.tolist()]


def test_an_epoch_holds_every_example_once_the_last_batch_smaller():
    data = Numbers(batch_size=4)
    data.setup()
    sizes = [len(y) for _, y in data.train_dataloader()]
    assert sizes == [4, 4, 2]
    assert sorted(epoch(data)) == list(range(10))


def test_training_order_changes_by_epoch_and_validation_order_never():
    data = Numbers(batch_size=4)
    data.setup()
    assert epoch(data) != epoch(data)
    for _ in range(2):
        assert torch.cat([y for _, y in data.val_dataloader()]).tolist() == list(range(10, 15))
        assert torch.cat([y for _, y in data.test_dataloader()]).tolist() == list(range(15, 20))


def test_order_depends_on_the_seed_of_the_data_and_not_on_the_global_one():
    orders = []
    for global_seed, seed in [(0, 7), (1, 7), (0, 8)]:
        torch.manual_seed(global_seed)
        data = Numbers(seed=seed)
        data.setup()
        orders.append(epoch(data))
    assert orders[0] == orders[1] != orders[2]


def test_reading_batches_does_not_move_the_global_generator():
    data = Numbers()
    data.setup()
    before = torch.get_rng_state()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        list(loader)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_single_example_is_a_row_of_a_batch():
    examples = Examples(torch.arange(6.0).reshape(3, 2), torch.arange(3), prepare=lambda x: 2 * x)
    x, y = examples[2]
    assert (x.tolist(), y.item()) == ([8.0, 10.0], 2)


def test_inputs_and_targets_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"^x and y have to be equally long, but got 3 and 2 examples$"):
        Examples(torch.zeros(3), torch.zeros(2))


def test_data_is_read_once_for_all_stages(tmp_path):
    data = Numbers()
    runner = trainer(tmp_path, 1, enable_checkpointing=False)
    model = Recorder()
    runner.fit(model, data)
    runner.test(model, data, verbose=False)
    assert data.reads == 1


def test_a_resumed_run_shuffles_as_the_unbroken_one(tmp_path):
    unbroken, first, resumed = Recorder(), Recorder(), Recorder()
    trainer(tmp_path, 4, enable_checkpointing=False).fit(unbroken, Numbers(batch_size=4))
    half = trainer(tmp_path, 2, enable_checkpointing=False)
    half.fit(first, Numbers(batch_size=4))
    half.save_checkpoint(tmp_path / "half.ckpt")
    trainer(tmp_path, 4, enable_checkpointing=False).fit(
        resumed, Numbers(batch_size=4), ckpt_path=tmp_path / "half.ckpt", weights_only=True
    )
    assert first.seen + resumed.seen == unbroken.seen
    assert len(resumed.seen) == 6


@pytest.mark.usefixtures("many_cores")
def test_lightning_gives_no_advice_that_is_wrong_for_data_in_memory(tmp_path):
    logged = trainer(tmp_path, 1, logger=CSVLogger(tmp_path), enable_checkpointing=False)
    logged.fit(Recorder(), Digits())
    logged.test(Recorder(), Digits(), verbose=False)


@pytest.mark.usefixtures("many_cores")
def test_other_loaders_are_still_advised_afterwards(tmp_path):
    data = Numbers()
    trainer(tmp_path, 1, enable_checkpointing=False).fit(Recorder(), data)
    with pytest.warns(PossibleUserWarning, match="does not have many workers"):
        trainer(tmp_path, 1, enable_checkpointing=False).test(Recorder(), data.test_dataloader(), verbose=False)


def test_a_failed_run_leaves_the_warning_filters_as_they_were(tmp_path):
    class Failing(Recorder):
        def training_step(self, batch):
            raise RuntimeError("lost")

    before = list(warnings.filters)
    with pytest.raises(RuntimeError, match="lost"):
        trainer(tmp_path, 1, enable_checkpointing=False).fit(Failing(), Numbers())
    assert list(warnings.filters) == before


def test_setup_without_a_trainer_leaves_the_warning_filters_alone():
    before = list(warnings.filters)
    Numbers().setup()
    assert list(warnings.filters) == before
