"""SVHN's MATLAB files."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets
from scipy.io import savemat

from nas.data import svhn
from nas.data.dataset import LoadOptions
from nas.data.svhn import read_mat_pool, read_svhn
from nas.errors import InvalidInputError

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
LABELS = np.array([[10], [1], [9], [2]], dtype=np.uint8)


def _write(path: Path, *, images: np.ndarray = IMAGES, labels: np.ndarray = LABELS) -> Path:
    savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": labels})
    return path


def test_images_and_labels_are_read_and_ten_is_the_digit_0(tmp_path: Path) -> None:
    pool = read_mat_pool(_write(tmp_path / "train_32x32.mat"), num_images=4)
    assert np.array_equal(pool.read(torch.arange(4)).numpy(), IMAGES)
    assert pool.labels.tolist() == [0, 1, 9, 2]


@pytest.mark.parametrize("content", [b"", b"short", bytes(500), None])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = _write(tmp_path / "train_32x32.mat")
    path.write_bytes(path.read_bytes()[:-400] if content is None else content)
    with pytest.raises(InvalidInputError, match=r"train_32x32\.mat cannot be used") as error:
        read_mat_pool(path, num_images=4)
    assert "\n" not in str(error.value)


def test_another_number_of_images_is_told(tmp_path: Path) -> None:
    path = _write(tmp_path / "train_32x32.mat")
    with pytest.raises(InvalidInputError, match=r"expected X uint8 \(32, 32, 3, 5\).*got uint8 \(32, 32, 3, 4\) and 4"):
        read_mat_pool(path, num_images=5)


def test_other_contents_are_told(tmp_path: Path) -> None:
    savemat(tmp_path / "other.mat", {"Z": 1})
    with pytest.raises(InvalidInputError, match="expected X uint8"):
        read_mat_pool(tmp_path / "other.mat", num_images=4)


@pytest.mark.parametrize("label", [0, 11])
def test_labels_that_are_no_digits_are_told(tmp_path: Path, label: int) -> None:
    path = _write(tmp_path / "train_32x32.mat", labels=np.array([[1], [2], [3], [label]], dtype=np.uint8))
    with pytest.raises(InvalidInputError, match=f"expected labels from 1 to 10, got .*{label}"):
        read_mat_pool(path, num_images=4)


def test_both_files_are_found_or_downloaded(
    tmp_path: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = server
    table = {}
    for split, images, labels in (("train", IMAGES, LABELS), ("test", IMAGES[:2], LABELS[:2])):
        path = _write(folder / f"{split}_32x32.mat", images=images, labels=labels)
        table[split] = [
            address + path.name,
            path.name,
            hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
        ]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", table)
    monkeypatch.setattr(svhn, "_SIZES", {"train_32x32.mat": 4, "test_32x32.mat": 2})
    root = tmp_path / "root"
    with pytest.raises(InvalidInputError, match=r"svhn: train_32x32\.mat, test_32x32\.mat not found.*--download"):
        read_svhn(LoadOptions(root=root))
    pools = read_svhn(LoadOptions(root=root, download=True))
    assert pools.test is not None
    assert (len(pools.train), len(pools.test)) == (4, 2)
    assert read_svhn(LoadOptions(root=root)).test is not None
    assert sorted(path.name for path in (root / "svhn").iterdir()) == ["test_32x32.mat", "train_32x32.mat"]


def test_file_names_agree_with_torchvision() -> None:
    assert list(svhn._SIZES) == [torchvision.datasets.SVHN.split_list[split][1] for split in ("train", "test")]
