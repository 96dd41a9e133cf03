"""IDX files: what is read, and what a wrong one is told."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets

from nas.data.dataset import LoadOptions
from nas.data.idx import FASHION_MNIST, MNIST, IdxDataset, IdxFile
from nas.errors import InvalidInputError, NASError

IMAGES = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
LABELS = np.array([2, 0, 1], dtype=np.uint8)
SMALL = IdxDataset(
    "mnist",
    "MNIST",
    (
        IdxFile("train-images-idx3-ubyte", (3, 4, 4)),
        IdxFile("train-labels-idx1-ubyte", (3,)),
        IdxFile("t10k-images-idx3-ubyte", (2, 4, 4)),
        IdxFile("t10k-labels-idx1-ubyte", (2,)),
    ),
    ("a", "b", "c"),
)


def _to_idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


def _write(folder: Path, *, compress: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file, array in zip(SMALL.files, (IMAGES, LABELS, 255 - IMAGES[:2], LABELS[:2]), strict=True):
        content = gzip.compress(_to_idx(array)) if compress else _to_idx(array)
        (folder / (file.name + (".gz" if compress else ""))).write_bytes(content)
    return folder


@pytest.mark.parametrize("folder", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("compress", [False, True])
def test_the_four_files_become_two_pools(tmp_path: Path, folder: str, compress: bool) -> None:
    _write(tmp_path / folder, compress=compress)
    pools = SMALL.read(LoadOptions(root=tmp_path))
    assert torch.equal(pools.train.read(torch.tensor([0, 1, 2])), torch.from_numpy(IMAGES).unsqueeze(1))
    assert pools.train.labels.tolist() == [2, 0, 1]
    assert pools.train.labels.dtype == torch.int64
    assert pools.test is not None
    assert torch.equal(pools.test.read(torch.tensor([1])), torch.from_numpy(255 - IMAGES[1:2]).unsqueeze(1))
    assert pools.validation is None
    assert pools.class_names == ("a", "b", "c")


def test_a_cut_file_is_named_with_both_sizes(tmp_path: Path) -> None:
    path = _write(tmp_path) / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InvalidInputError, match=r"train-images-idx3-ubyte cannot be used: expected 64 bytes, got 59\."):
        SMALL.read(LoadOptions(root=tmp_path))


def test_another_header_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(_to_idx(IMAGES.reshape(3, 2, 8)))
    with pytest.raises(InvalidInputError, match=r"expected the IDX header 000008030{7}3.* got 000008030{7}30{7}20{7}8"):
        SMALL.files[0].read(path)


def test_content_that_is_not_the_official_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(_to_idx(IMAGES))
    good = replace(SMALL.files[0], sha256=hashlib.sha256(_to_idx(IMAGES)).hexdigest())
    assert np.array_equal(good.read(path), IMAGES)
    path.write_bytes(_to_idx(255 - IMAGES))
    with pytest.raises(InvalidInputError, match="it is another data set's, or damaged: its SHA-256 is"):
        good.read(path)


def test_labels_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path) / "t10k-labels-idx1-ubyte"
    path.write_bytes(_to_idx(np.array([0, 3], dtype=np.uint8)))
    with pytest.raises(
        InvalidInputError, match=r"t10k-labels-idx1-ubyte cannot be used: expected labels below 3, got 3"
    ):
        SMALL.read(LoadOptions(root=tmp_path))


@pytest.fixture
def official(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Let torchvision's table point to files on this machine; return its names and checksums."""
    folder, address = server
    _write(folder, compress=True)
    resources = [
        (path.name, hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()) for path in folder.iterdir()
    ]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address + "nowhere/", address])
    return resources


@pytest.mark.usefixtures("official")
def test_missing_files_are_downloaded_when_asked(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with pytest.raises(InvalidInputError, match=r"not found.*--download"):
        SMALL.read(LoadOptions(root=root))
    assert len(SMALL.read(LoadOptions(root=root, download=True)).train) == 3
    assert len(SMALL.read(LoadOptions(root=root)).train) == 3


def test_a_download_with_another_checksum_is_refused(tmp_path: Path, official: list[tuple[str, str]]) -> None:
    official[0] = (official[0][0], "0" * 32)
    with pytest.raises(NASError, match="does not have the MD5 checksum 0000"):
        SMALL.read(LoadOptions(root=tmp_path / "root", download=True))
    assert not [path for path in (tmp_path / "root").rglob("*") if path.is_file()]


def test_the_addresses_come_from_torchvision() -> None:
    names = [name for name, _ in torchvision.datasets.FashionMNIST.resources]
    assert names == [file.name + ".gz" for file in SMALL.files]


def test_clothes_may_be_mirrored_and_digits_may_not() -> None:
    assert FASHION_MNIST.augmentation.flip
    assert not MNIST.augmentation.flip
