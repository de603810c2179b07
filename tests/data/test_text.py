"""A text as windows of characters: drawn at random to train, side by side to validate and test."""

from __future__ import annotations

import lightning.pytorch as L
import pytest
import torch
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper
from torch import nn

from adaptive_dropout.data import Text, text as text_module

# 200 different characters in order, so that a window tells where it was cut: 160 train, 20 validate, 20 test.
CHARACTERS = "".join(chr(0x4E00 + i) for i in range(200))


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.txt").write_text(CHARACTERS, encoding="utf-8")
    return tmp_path / "a.txt"


def ready(path, **settings):
    defaults = {"context": 6, "batch_size": 4, "val_fraction": 0.2, "steps_per_epoch": 5}
    data = Text(path, **(defaults | settings))
    data.setup()
    return data


def starts(loader):
    return [start for x, _ in loader for start in x[:, 0].tolist()]


def test_a_batch_is_windows_and_the_same_one_character_later(path):
    for x, y in ready(path).train_dataloader():
        assert (x.shape, y.shape, x.dtype, y.dtype) == ((4, 6), (4, 6), torch.int64, torch.int64)
        assert torch.equal(y, x[:, :1] + torch.arange(1, 7))
        assert torch.equal(x, y - 1)


def test_an_epoch_is_the_steps_asked_for_and_the_next_one_is_new(path):
    data = ready(path)
    first, second = list(data.train_dataloader()), starts(data.train_dataloader())
    assert len(first) == len(data.train_dataloader()) == 5
    assert starts(first) != second


def test_training_windows_begin_anywhere_in_the_training_part(path):
    data = ready(path, steps_per_epoch=1000)
    counts = torch.tensor(starts(data.train_dataloader())).bincount()
    # 160 characters have 154 windows of 7; 4000 draws give each 26, with a standard error of sqrt(26) = 5.1.
    assert len(counts) == len(data.train_set) == 154
    torch.testing.assert_close(counts.float(), torch.full((154,), 4000 / 154), atol=5 * 5.1, rtol=0)


def test_windows_that_validate_and_test_lie_side_by_side_and_never_change(path):
    data = ready(path)
    for _ in range(2):
        assert starts(data.val_dataloader()) == [160, 166, 172]
        assert starts(data.test_dataloader()) == [180, 186, 192]
    x, y = next(iter(data.val_dataloader()))
    assert torch.equal(y, x + 1)


def test_the_last_window_that_fits_exactly_is_used(path):
    assert starts(ready(path, context=19).val_dataloader()) == [160]


def test_windows_depend_on_the_seed_of_the_data_and_not_on_the_global_one(path):
    orders = []
    for global_seed, seed in [(0, 7), (1, 7), (0, 8)]:
        torch.manual_seed(global_seed)
        orders.append(starts(ready(path, seed=seed).train_dataloader()))
    assert orders[0] == orders[1] != orders[2]


def test_reading_batches_does_not_move_the_global_generator(path):
    data = ready(path)
    before = torch.get_rng_state()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        list(loader)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_restored_state_draws_on_where_it_was_taken(path):
    unbroken, resumed = ready(path), ready(path)
    starts(unbroken.train_dataloader())
    resumed.load_state_dict(unbroken.state_dict())
    assert starts(resumed.train_dataloader()) == starts(unbroken.train_dataloader())


def test_two_processes_share_the_windows_of_an_epoch(path):
    alone = list(ready(path, steps_per_epoch=6).train_dataloader().sampler)
    shares = []
    for rank in range(2):
        data = ready(path, steps_per_epoch=6)
        sampler = data.train_dataloader().sampler  # Lightning wraps it so
        shares.append(list(DistributedSamplerWrapper(sampler, num_replicas=2, rank=rank, shuffle=False)))
    assert [start for pair in zip(*shares, strict=True) for start in pair] == alone


def test_a_slice_of_the_file_has_the_vocabulary_of_the_whole(path):
    data = ready(path, start=100, n_characters=80)
    assert (data.vocabulary, data.characters) == (200, CHARACTERS)
    assert data.train_set.x.min() == 100
    assert data.train_set.y.max() == 163
    assert starts(data.test_dataloader()) == [172]


def test_characters_come_back_as_they_were(path):
    data = ready(path)
    tokens = data.encode(CHARACTERS[5:9])
    assert (tokens.tolist(), tokens.dtype) == ([5, 6, 7, 8], torch.int64)
    assert data.decode(tokens) == CHARACTERS[5:9]


def test_characters_are_numbered_in_sorted_order(tmp_path):
    (tmp_path / "a.txt").write_text("cab\n" * 100)
    data = Text(tmp_path / "a.txt", context=4)
    assert (data.characters, data.vocabulary) == ("\nabc", 4)
    assert data.encode("cab\n").tolist() == [3, 1, 2, 0]


def test_a_text_is_numbered_piece_by_piece_as_character_by_character(tmp_path, monkeypatch):
    monkeypatch.setattr(text_module, "PIECE", 7)
    text = "".join(map(chr, torch.randint(32, 0xD800, (500,)).tolist())) + "\U0001f600\U0010ffff z" * 9
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    data = Text(tmp_path / "a.txt", context=4)
    assert data.characters == "".join(sorted(set(text)))
    assert data.encode(text).tolist() == [data.characters.index(character) for character in text]
    assert data.encode("").shape == (0,)
    with pytest.raises(ValueError, match=r"^no character '\\udc80' in the file"):
        data.encode("zz\udc80z")


def test_windows_of_a_long_text_share_its_memory(path):
    train = ready(path).train_set
    assert train.x.untyped_storage().data_ptr() == train.y.untyped_storage().data_ptr()
    assert train.x.untyped_storage().nbytes() == 200 * 8


class Recorder(L.LightningModule):
    """Remembers where the windows began."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch):
        self.seen += batch[0][:, 0].tolist()
        return self.weight * 1.0

    def validation_step(self, batch):
        self.log("val_loss", batch[0].float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(tmp_path, path, model, epochs, checkpoint=None):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    runner = L.Trainer(max_epochs=epochs, accelerator="cpu", logger=False, default_root_dir=tmp_path, **quiet)
    data = Text(path, context=6, batch_size=4, val_fraction=0.2, steps_per_epoch=5)
    runner.fit(model, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    return runner


def test_a_resumed_run_draws_as_the_unbroken_one_and_lightning_gives_no_wrong_advice(tmp_path, path):
    unbroken, first, resumed = Recorder(), Recorder(), Recorder()
    fit(tmp_path, path, unbroken, 4)
    fit(tmp_path, path, first, 2).save_checkpoint(tmp_path / "half.ckpt")
    fit(tmp_path, path, resumed, 4, tmp_path / "half.ckpt")
    assert first.seen + resumed.seen == unbroken.seen
    assert len(resumed.seen) == 2 * 5 * 4


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"context": 0}, ValueError, "^context has to be at least 1, but got 0$"),
        ({"batch_size": 0}, ValueError, "^batch_size has to be at least 1, but got 0$"),
        ({"steps_per_epoch": 1.5}, TypeError, "^steps_per_epoch has to be a whole number, but got 1.5$"),
        ({"val_fraction": 0.0}, ValueError, "^val_fraction has to lie between 0 and 1, both excluded, but got 0.0$"),
        ({"start": -1}, ValueError, "^start has to be at least 0, but got -1$"),
        ({"n_characters": 0}, ValueError, "^n_characters has to be at least 1, but got 0$"),
        ({"start": 150, "n_characters": 60}, ValueError, "50 characters follow start 150, but n_characters is 60$"),
        ({"start": 500, "n_characters": 60}, ValueError, "0 characters follow start 500, but n_characters is 60$"),
        ({"context": 20}, ValueError, "need 21 characters each, .* but 200 characters give 160, 20 and 20$"),
        ({"start": 200}, ValueError, "need 7 characters each, .* but 0 characters give 0, 0 and 0$"),
    ],
)
def test_settings_that_fit_no_text_are_refused_in_one_line(path, settings, error, message):
    with pytest.raises(error, match=message) as caught:
        ready(path, **settings)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^no file '.*no.txt': path has to name a plain text file$"):
        Text(tmp_path / "no.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "the file is empty$"), (b"\xff\xfe\x00", r"not valid UTF-8 \(.*decode.*\)$")],
)
def test_what_is_no_text_is_refused(tmp_path, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Text(tmp_path / "a.txt")


def test_unknown_characters_and_tokens_are_refused(path):
    data = ready(path)
    with pytest.raises(ValueError, match=r"^no character 'x' in the file; it has "):
        data.encode("x")
    with pytest.raises(ValueError, match=r"^a token has to be between 0 and 199, but got -1$"):
        data.decode(torch.tensor([3, -1]))
