"""MNIST from files in its own format: the official test set whole, standardised by the training images."""

from __future__ import annotations

import gzip
import sys

import numpy as np
import pytest
import torch

from adaptive_dropout.data import MNIST

datasets = pytest.importorskip("torchvision.datasets")


def write_idx(path, array):
    """Write bytes in the idx format: two zero bytes, type 8 (unsigned byte), the number of dimensions, the sizes."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">i4").tobytes()
    path.write_bytes(header + array.tobytes())


@pytest.fixture
def root(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, n in (("train", 200), ("t10k", 50)):
        write_idx(raw / f"{name}-images-idx3-ubyte", rng.integers(0, 256, (n, 28, 28), dtype=np.uint8))
        write_idx(raw / f"{name}-labels-idx1-ubyte", (np.arange(n) % 10).astype(np.uint8))
    return tmp_path


def ready(root, **settings):
    data = MNIST(root, **settings)
    data.prepare_data()
    data.setup()
    return data


def test_validation_is_split_off_and_the_official_test_set_stays_whole(root):
    data = ready(root, val_fraction=0.25)
    assert [len(data.train_set), len(data.val_set), len(data.test_set)] == [150, 50, 50]
    assert data.test_set.y.tolist() == [i % 10 for i in range(50)]


def test_inputs_are_standardised_by_the_training_images(root):
    data = ready(root, batch_size=200)
    (x, y), (x_test, _) = next(iter(data.train_dataloader())), next(iter(data.test_dataloader()))
    assert (x.shape, x.dtype, y.dtype) == ((180, 1, 28, 28), torch.float32, torch.int64)
    torch.testing.assert_close(x.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(correction=0), torch.tensor(1.0))
    pixels = data.train_set.x.double() / 255
    expected = (data.test_set.x.double() / 255 - pixels.mean()) / pixels.std(correction=0)
    torch.testing.assert_close(x_test, expected.float())


def test_subset_and_noise_touch_the_training_part_only(root):
    clean, changed = ready(root), ready(root, n_train=100, label_noise=1.0)
    assert len(changed.train_set) == 100
    true_label = {
        tuple(x.flatten().tolist()): y.item() for x, y in zip(clean.train_set.x, clean.train_set.y, strict=True)
    }
    pairs = zip(changed.train_set.x, changed.train_set.y.tolist(), strict=True)
    assert all(true_label[tuple(x.flatten().tolist())] != y for x, y in pairs)
    assert torch.equal(clean.val_set.y, changed.val_set.y)
    assert torch.equal(clean.test_set.y, changed.test_set.y)


def test_a_missing_folder_is_refused_at_construction(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^no MNIST in '.*raw', 'train-images.*' is missing: .*download=True$"):
        MNIST(tmp_path / "nowhere")


def test_a_corrupt_file_is_named(root):
    path = root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"^the files in '.*raw' are not MNIST \(.*\): delete .* download=True$"):
        ready(root)


def test_download_happens_only_when_asked(root, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(datasets.MNIST, "download", lambda self: asked.append(self.root))
    ready(root)
    assert asked == []
    ready(root, download=True)
    assert asked == [root]


def test_download_that_gives_nothing_is_said_at_setup(tmp_path):
    data = MNIST(tmp_path, download=True)
    with pytest.raises(FileNotFoundError, match="is missing"):
        data.setup()


def test_compressed_files_in_place_are_unpacked_without_a_network(root, monkeypatch):
    raw = root / "MNIST" / "raw"
    for path in list(raw.iterdir()):
        with gzip.open(f"{path}.gz", "wb") as file:
            file.write(path.read_bytes())
        path.unlink()
    # Made-up images have other checksums than MNIST's; without one, a file that is there is taken as it is.
    monkeypatch.setattr(datasets.MNIST, "resources", [(name, None) for name, _ in datasets.MNIST.resources])
    assert len(ready(root, download=True).test_set) == 50


def test_without_torchvision_the_extra_is_named(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(ImportError, match=r'pip install "adaptive-dropout\[vision\]"$'):
        MNIST(root)
