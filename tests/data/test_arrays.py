"""Data of the user's own: sizes known at construction, standardised by the training part, split by seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptive_dropout.data import Arrays

N = 100


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    table = rng.normal([5.0, -300.0, 0.0], [2.0, 0.01, 1.0], (N, 3))
    table[:, 2] = 0.1  # never changes
    return table


def save(path, x, y):
    np.savez(path, x=x, y=y)
    return path


def ready(path, **settings):
    data = Arrays(path, **settings)
    data.setup()
    return data


def test_integer_targets_are_classes_numbered_from_zero(tmp_path, x):
    y = np.arange(N) % 3 * 10 - 10  # -10, 0, 10
    data = ready(save(tmp_path / "a.npz", x, y), batch_size=N)
    assert (data.num_features, data.num_classes, data.num_targets, data.classes) == (3, 3, 0, [-10, 0, 10])
    batch, labels = next(iter(data.train_dataloader()))
    assert (batch.dtype, labels.dtype, labels.shape) == (torch.float32, torch.int64, (60,))
    assert data.test_set.y.bincount().tolist() in [[7, 7, 6], [7, 6, 7], [6, 7, 7]]


def test_float_targets_are_numbers_and_come_back_on_their_own_scale(tmp_path, x):
    y = 1000.0 + 50.0 * np.random.default_rng(1).normal(size=N)
    data = ready(save(tmp_path / "a.npz", x, y))
    assert (data.num_classes, data.num_targets, data.classes) == (0, 1, [])
    assert data.train_set.y.shape == (60,)
    torch.testing.assert_close(data.train_set.y.mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(data.train_set.y.std(correction=0), torch.tensor(1.0))
    parts = torch.cat([data.train_set.y, data.val_set.y, data.test_set.y]) * data.y_std + data.y_mean
    torch.testing.assert_close(parts.sort().values, torch.from_numpy(np.sort(y)).float())


def test_inputs_are_standardised_by_the_training_part_and_a_constant_becomes_zero(tmp_path, x):
    data = ready(save(tmp_path / "a.npz", x, np.arange(N) % 2))
    train = data.train_set.x
    torch.testing.assert_close(train.mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(train[:, :2].std(0, correction=0), torch.ones(2))
    assert data.test_set.x[:, 2].abs().max() < 1e-6
    assert data.test_set.x[:, 0].mean().abs() > 1e-3


@pytest.mark.parametrize(("shape", "given"), [((N,), ()), ((N, 1), ()), ((N, 2), (2,))])
def test_several_numbers_make_a_row_and_one_makes_none(tmp_path, x, shape, given):
    y = np.random.default_rng(1).normal(size=shape)
    data = ready(save(tmp_path / "a.npz", x, y), batch_size=8)
    _, targets = next(iter(data.train_dataloader()))
    assert targets.shape == (8, *given)
    assert data.y_mean.shape == data.y_std.shape == given


def test_images_keep_their_shape(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (N, 1, 4, 4), dtype=np.uint8)
    data = ready(save(tmp_path / "a.npz", x, np.arange(N) % 2), batch_size=8)
    assert next(iter(data.train_dataloader()))[0].shape == (8, 1, 4, 4)
    assert data.num_features == 16


def test_text_and_binary_files_of_the_same_numbers_give_the_same_data(tmp_path, x):
    y = np.arange(N) % 2
    rows = [f"{a!r},{int(k)},{b!r},{c!r}" for (a, b, c), k in zip(x.tolist(), y, strict=True)]
    text = "\n".join(["a,target,b,c", *rows])
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "a.tsv").write_text(text.replace(",", "\t"))
    binary = ready(save(tmp_path / "a.npz", x, y))
    for name in ("a.csv", "a.tsv"):
        data = ready(tmp_path / name)
        assert torch.equal(data.train_set.x, binary.train_set.x)
        assert torch.equal(data.train_set.y, binary.train_set.y)


def test_seed_decides_the_split(tmp_path, x):
    path = save(tmp_path / "a.npz", x, np.arange(N) % 2)
    first, again, other = (ready(path, seed=seed).test_set.x for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
