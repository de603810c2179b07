"""CIFAR-10 from files in its own format; augmentation touches training images only."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from adaptive_dropout.data import CIFAR10

datasets = pytest.importorskip("torchvision.datasets")
v2 = pytest.importorskip("torchvision.transforms.v2")


def write(path, content):
    with path.open("wb") as file:
        pickle.dump(content, file)


def write_batch(path, images, labels):
    """Rows of 3072 bytes, all red values first, then green, then blue, each row by row."""
    write(path, {"data": images.transpose(0, 3, 1, 2).reshape(len(images), 3072), "labels": labels.tolist()})


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    scale = np.array([50, 150, 250])  # channels of different mean and deviation
    return (rng.random((300, 32, 32, 3)) * scale).astype(np.uint8)


@pytest.fixture
def root(tmp_path, images, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    labels = np.arange(300) % 10
    for i, name in enumerate([f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]):
        write_batch(folder / name, images[50 * i : 50 * i + 50], labels[50 * i : 50 * i + 50])
    write(folder / "batches.meta", {"label_names": [str(i) for i in range(10)]})
    # torchvision compares checksums with those of the real files, which made-up images cannot have.
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setitem(datasets.CIFAR10.meta, "md5", None)
    return tmp_path


def ready(root, **settings):
    data = CIFAR10(root, **settings)
    data.prepare_data()
    data.setup()
    return data


def test_validation_is_split_off_and_the_official_test_set_stays_whole(root, images):
    data = ready(root, val_fraction=0.2)
    assert [len(data.train_set), len(data.val_set), len(data.test_set)] == [200, 50, 50]
    assert torch.equal(data.test_set.x, torch.from_numpy(images[250:]).permute(0, 3, 1, 2))
    assert data.test_set.y.tolist() == [i % 10 for i in range(50)]


def test_each_channel_is_standardised_by_the_training_images(root):
    data = ready(root, batch_size=300)
    x, _ = next(iter(data.train_dataloader()))
    assert (x.shape, x.dtype) == ((225, 3, 32, 32), torch.float32)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3), correction=0), torch.ones(3))


def test_a_transform_gets_each_training_image_in_zero_to_one_and_no_other(root):
    seen = []

    def blank(image):
        seen.append((tuple(image.shape), image.min() >= 0 and image.max() <= 1))
        return torch.zeros_like(image)

    data = ready(root, train_transform=blank)
    for loader in (data.val_dataloader(), data.test_dataloader()):
        list(loader)
    assert seen == []
    x, _ = next(iter(data.train_dataloader()))
    assert seen == [((3, 32, 32), True)] * 64
    black = -data.train_set.prepare.mean / data.train_set.prepare.std
    torch.testing.assert_close(x, black.expand_as(x))


def test_crop_and_flip_of_torchvision_draw_anew_for_each_image(root):
    augment = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])
    data = ready(root, train_transform=augment)
    torch.manual_seed(0)
    copies = torch.stack([data.train_set[0][0] for _ in range(5)])
    assert copies.shape == (5, 3, 32, 32)
    assert len(copies.unique(dim=0)) == 5


def test_subset_and_noise_touch_the_training_part_only(root):
    clean, changed = ready(root), ready(root, n_train=50, label_noise=0.5)
    assert len(changed.train_set) == 50
    assert torch.equal(clean.val_set.y, changed.val_set.y)
    assert torch.equal(clean.test_set.y, changed.test_set.y)


def test_a_missing_folder_is_refused_at_construction(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^no CIFAR10 in '.*batches-py', 'data_batch_1' is missing: .*$"):
        CIFAR10(tmp_path / "nowhere")


def test_files_that_are_not_the_real_ones_are_refused(root, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"^the files in '.*' are not CIFAR10 \(.*corrupted.*\): delete .*$"):
        ready(root)


def test_download_happens_only_when_asked(root, monkeypatch):
    asked = []
    monkeypatch.setattr(datasets.CIFAR10, "download", lambda self: asked.append(self.root))
    ready(root)
    assert asked == []
    ready(root, download=True)
    assert asked == [root]
