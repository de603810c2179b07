"""Folders of real image files: labels by folder name, three parts with and without a test folder, clear refusals."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from adaptive_dropout.data import ImageFolder

pytest.importorskip("torchvision.datasets")
Image = pytest.importorskip("PIL.Image")

COLOURS = {"n01": (255, 0, 0), "n02": (0, 255, 0), "n03": (0, 0, 255)}
MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])


def fill(folder, n, size=(40, 30)):
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for i in range(n):
            Image.new("RGB", size, colour).save(folder / name / f"{i}.JPEG", quality=95)


@pytest.fixture
def root(tmp_path):
    fill(tmp_path / "train", 10)
    fill(tmp_path / "val", 4)
    return tmp_path


def ready(root, **settings):
    data = ImageFolder(root, **({"image_size": 16, "num_workers": 0} | settings))
    data.setup()
    return data


def labels(dataset):
    return [dataset[i][1] for i in range(len(dataset))]


def test_without_a_test_folder_val_is_tested_and_validation_comes_from_train(root):
    data = ready(root, val_fraction=0.2)
    assert [len(data.train_set), len(data.val_set), len(data.test_set)] == [24, 6, 12]
    assert [s[0] for s in data.test_set.samples] == sorted(str(p) for p in (root / "val").rglob("*.JPEG"))
    assert not set(data.train_set.indices) & set(data.val_set.indices)
    assert sorted(labels(data.val_set)) == [0, 0, 1, 1, 2, 2]


def test_with_a_test_folder_the_three_folders_are_the_three_parts(root):
    fill(root / "test", 5)
    data = ready(root)
    assert [len(data.train_set), len(data.val_set), len(data.test_set)] == [30, 12, 15]


def test_batches_are_standardised_squares_labelled_by_folder(root):
    data = ready(root, batch_size=30)
    x, y = next(iter(data.train_dataloader()))
    assert (x.shape, x.dtype, y.dtype) == ((27, 3, 16, 16), torch.float32, torch.int64)
    assert (data.num_classes, data.classes, data.num_features) == (3, ["n01", "n02", "n03"], 768)
    pixels = x.mean((2, 3)) * STD + MEAN
    # JPEG at quality 95 keeps a pure colour to within 2 of 255 levels.
    torch.testing.assert_close(pixels, torch.eye(3)[y], atol=2 / 255, rtol=0)


def test_grey_images_become_rgb(root):
    grey = np.full((20, 20), 128, dtype=np.uint8)
    path = root / "val" / "n01" / "0.JPEG"
    Image.fromarray(grey).save(path)
    x, label = ready(root).test_set[0]
    assert (x.shape, label) == ((3, 16, 16), 0)
    expected = ((torch.tensor(128 / 255) - MEAN) / STD).reshape(3, 1, 1).expand(3, 16, 16)
    torch.testing.assert_close(x, expected, atol=0.02, rtol=0)  # one grey level is 0.0175


def test_a_transform_gets_training_images_in_zero_to_one_and_no_others(root):
    seen = []

    def watch(image):
        seen.append((tuple(image.shape), image.min() >= 0 and image.max() <= 1))
        return image

    data = ready(root, train_transform=watch)
    list(data.val_dataloader())
    list(data.test_dataloader())
    assert seen == []
    list(data.train_dataloader())
    assert seen == [((3, 16, 16), True)] * 27


def test_training_order_is_seeded_and_resumes(root):
    first, second, resumed = (ready(root, batch_size=27, seed=3) for _ in range(3))

    def order(data):
        return next(iter(data.train_dataloader()))[1].tolist()

    epochs = [order(first), order(first)]
    assert order(second) == epochs[0]
    resumed.load_state_dict(second.state_dict())
    assert order(resumed) == epochs[1] != epochs[0]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_worker_processes_give_the_same_batches(root):
    alone, helped = ready(root), ready(root, num_workers=1)
    for (x, y), (x_helped, y_helped) in zip(alone.val_dataloader(), helped.val_dataloader(), strict=True):
        assert torch.equal(x, x_helped)
        assert torch.equal(y, y_helped)


@pytest.mark.parametrize("missing", ["", "train", "val"])
def test_a_missing_folder_is_named(root, missing):
    shutil.rmtree(root / missing)
    with pytest.raises(
        FileNotFoundError, match=rf"^no class folders in '.*{missing}': root has to hold train/<class>/ "
    ):
        ImageFolder(root)


def test_a_class_in_one_part_only_is_refused(root):
    shutil.rmtree(root / "val" / "n02")
    with pytest.raises(ValueError, match=r"'train' and 'val' need the same class folders, but 'n02' is in one only$"):
        ImageFolder(root)


def test_an_image_size_that_is_no_size_is_refused(root):
    with pytest.raises(ValueError, match=r"^image_size has to be at least 1, but got 0$"):
        ImageFolder(root, image_size=0)
