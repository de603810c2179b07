"""The embedded digits: real, scaled, split by seed, noisy in the training labels only."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits

from adaptive_dropout.data import Digits


def ready(**settings):
    data = Digits(**settings)
    data.setup()
    return data


def test_parts_hold_all_1797_images_once():
    data = ready()
    x = torch.cat([data.train_set.x, data.val_set.x, data.test_set.x]).reshape(1797, 64)
    real = torch.from_numpy(load_digits().data).float() / 16
    assert [len(data.train_set), len(data.val_set), len(data.test_set)] == [1078, 360, 359]
    assert sorted(x.tolist()) == sorted(real.tolist())


def test_batches_have_the_stated_shape_type_and_range():
    x, y = next(iter(ready(batch_size=100).train_dataloader()))
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((100, 1, 8, 8), torch.float32, (100,), torch.int64)
    assert (x.min(), x.max()) == (0, 1)
    assert (Digits.in_channels, Digits.image_size, Digits.num_features) == (1, 8, 64)


def test_labels_belong_to_their_images():
    images, labels = load_digits(return_X_y=True)
    known = {tuple(image): label for image, label in zip((images / 16).tolist(), labels, strict=True)}
    data = ready()
    for part in (data.train_set, data.val_set, data.test_set):
        assert [known[tuple(x)] for x in part.x.flatten(1).tolist()] == part.y.tolist()


def test_noise_touches_training_labels_only():
    clean, noisy = ready(), ready(label_noise=0.5)
    assert torch.equal(clean.train_set.x, noisy.train_set.x)
    assert (clean.train_set.y != noisy.train_set.y).sum() == 539
    assert torch.equal(clean.val_set.y, noisy.val_set.y)
    assert torch.equal(clean.test_set.y, noisy.test_set.y)


def test_a_subset_touches_the_training_part_only():
    whole, small = ready(), ready(n_train=100)
    assert small.train_set.y.bincount(minlength=10).min() >= 9
    assert len(small.train_set) == 100
    assert torch.equal(whole.val_set.x, small.val_set.x)
    assert torch.equal(whole.test_set.x, small.test_set.x)


def test_more_training_images_than_there_are_is_refused():
    with pytest.raises(ValueError, match=r"between 10, .* and 1078, .* but got 1079$"):
        ready(n_train=1079)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"val_fraction": 0.0}, "val_fraction has to lie between 0 and 1, both excluded, but got 0.0"),
        ({"test_fraction": 1.2}, "test_fraction has to be between 0 and 1, but got 1.2"),
        ({"batch_size": 0}, "batch_size has to be at least 1, but got 0"),
        ({"seed": -1}, r"seed has to be between 0 and 2**32 - 1, but got -1"),
    ],
)
def test_bad_settings_are_refused_at_construction(settings, message):
    with pytest.raises(ValueError, match=r"^\w+ has to") as caught:
        Digits(**settings)
    assert str(caught.value) == message
