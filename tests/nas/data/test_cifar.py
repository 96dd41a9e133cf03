"""CIFAR in its two layouts, and its download."""

import hashlib
import io
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets

from nas.data import cifar
from nas.data.cifar import CIFAR_100, CifarDataset
from nas.data.dataset import LoadOptions, Pool
from nas.errors import InvalidInputError, NASError

RNG = np.random.default_rng(0)
TEN = CifarDataset(
    name="cifar-10",
    torchvision_name="CIFAR10",
    files=("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"),
    pickles=("data_batch_1", "data_batch_2", "test_batch"),
    records=(3, 3, 2),
    label_bytes=1,
    labels_key="labels",
    class_names=("a", "b", "c"),
    archive="cifar-10-binary.tar.gz",
    archive_md5="",
    inner=("cifar-10-batches-bin", "cifar-10-batches-py"),
)
HUNDRED = replace(
    TEN,
    name="cifar-100",
    files=("train.bin", "test.bin"),
    pickles=("train", "test"),
    records=(6, 2),
    label_bytes=2,
    labels_key="fine_labels",
    inner=("cifar-100-binary", "cifar-100-python"),
)
PIXELS = RNG.integers(0, 256, (8, 3072), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 2, 1, 0, 1, 2], dtype=np.uint8)


def _write(folder: Path, dataset: CifarDataset, *, pickled: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    parts = np.split(np.arange(8), np.cumsum(dataset.records)[:-1])
    for name, part in zip(dataset.pickles if pickled else dataset.files, parts, strict=True):
        if pickled:
            content = pickle.dumps({dataset.labels_key: LABELS[part].tolist(), "data": PIXELS[part]})
        else:
            coarse = np.full((len(part), dataset.label_bytes - 1), 19, dtype=np.uint8)
            content = np.concatenate([coarse, LABELS[part][:, None], PIXELS[part]], axis=1).tobytes()
        (folder / name).write_bytes(content)
    return folder


def _read_all(pool: Pool | None) -> tuple[np.ndarray, list[int]]:
    assert pool is not None
    return pool.read(torch.arange(len(pool))).numpy(), pool.labels.tolist()


@pytest.mark.parametrize("dataset", [TEN, HUNDRED])
@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("outer", ["", "cifar10", "CIFAR10"])
def test_both_layouts_of_both_data_sets_give_the_same_images(
    tmp_path: Path, dataset: CifarDataset, pickled: bool, outer: str
) -> None:
    outer = outer.replace("10", dataset.name[6:])
    dataset = replace(dataset, torchvision_name=f"CIFAR{dataset.name[6:]}")
    _write(tmp_path / outer / dataset.inner[pickled], dataset, pickled=pickled)
    pools = dataset.read(LoadOptions(root=tmp_path))
    images, labels = _read_all(pools.train)
    assert np.array_equal(images, PIXELS[:6].reshape(6, 3, 32, 32))
    assert labels == LABELS[:6].tolist()
    images, labels = _read_all(pools.test)
    assert np.array_equal(images, PIXELS[6:].reshape(2, 3, 32, 32))
    assert labels == LABELS[6:].tolist()


def test_files_may_lie_in_the_root(tmp_path: Path) -> None:
    assert len(TEN.read(LoadOptions(root=_write(tmp_path, TEN))).train) == 6


def test_the_binary_version_is_preferred(tmp_path: Path) -> None:
    _write(tmp_path, TEN)
    _write(tmp_path, TEN, pickled=True)
    (tmp_path / "test_batch").write_bytes(b"not a pickle")
    assert len(TEN.read(LoadOptions(root=tmp_path)).train) == 6


def test_a_cut_file_is_named_with_both_sizes(tmp_path: Path) -> None:
    path = _write(tmp_path, TEN) / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InvalidInputError, match=r"data_batch_2\.bin cannot be used: expected 9,219 bytes, got 9,218\."):
        TEN.read(LoadOptions(root=tmp_path))


def test_labels_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, TEN)
    with pytest.raises(InvalidInputError, match=r"data_batch_1\.bin cannot be used: expected labels below 2, got 2"):
        replace(TEN, class_names=("a", "b")).read(LoadOptions(root=tmp_path))


def test_missing_files_are_told_by_their_binary_names(tmp_path: Path) -> None:
    (_write(tmp_path / "cifar10", TEN) / "test_batch.bin").unlink()
    with pytest.raises(InvalidInputError, match=r"cifar-10: test_batch\.bin not found in .*cifar10\. Looked in"):
        TEN.read(LoadOptions(root=tmp_path))


def test_pixels_that_are_not_the_official_ones_are_noted(tmp_path: Path) -> None:
    official = replace(TEN, head_sha256=hashlib.sha256(PIXELS[:4].tobytes()).hexdigest(), head_images=4)
    _write(tmp_path, TEN)
    assert official.read(LoadOptions(root=tmp_path)).notes == ()
    other = replace(official, head_images=3)
    assert "not the official ones of cifar-10" in other.read(LoadOptions(root=tmp_path)).notes[0]


@pytest.fixture
def archived(tmp_path: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> CifarDataset:
    """Serve the archive from this machine."""
    source = _write(tmp_path / "source", TEN)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in source.iterdir():
            tar.add(path, f"cifar-10-batches-bin/{path.name}")
    folder, address = server
    (folder / TEN.archive).write_bytes(buffer.getvalue())
    monkeypatch.setattr(cifar, "_URL", address)
    return replace(TEN, archive_md5=hashlib.md5(buffer.getvalue(), usedforsecurity=False).hexdigest())


def test_the_binary_archive_is_downloaded_and_unpacked_when_asked(tmp_path: Path, archived: CifarDataset) -> None:
    root = tmp_path / "root"
    with pytest.raises(InvalidInputError, match="--download"):
        archived.read(LoadOptions(root=root))
    assert len(archived.read(LoadOptions(root=root, download=True)).train) == 6
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert files == [f"cifar-10/cifar-10-batches-bin/{name}" for name in TEN.files]


def test_an_archive_with_another_checksum_is_refused(tmp_path: Path, archived: CifarDataset) -> None:
    with pytest.raises(NASError, match="does not have the MD5 checksum 1111"):
        replace(archived, archive_md5="1" * 32).read(LoadOptions(root=tmp_path / "root", download=True))


def test_file_names_agree_with_torchvision() -> None:
    for ours, theirs in (
        (cifar._CIFAR_10, torchvision.datasets.CIFAR10),
        (cifar._CIFAR_100, torchvision.datasets.CIFAR100),
    ):
        assert list(ours.pickles) == [name for name, _ in theirs.train_list + theirs.test_list]
        assert ours.inner[1] == theirs.base_folder
        assert ours.torchvision_name == theirs.__name__


def test_cifar_100_has_a_hundred_different_names_in_order() -> None:
    names = cifar._CIFAR_100.class_names
    assert len(set(names)) == CIFAR_100.classes == 100
    assert list(names) == sorted(names)
