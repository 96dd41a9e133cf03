"""Files are found where people keep them, and a bad one is described in one line."""

import gzip
from pathlib import Path

import pytest

from nas.data.files import FileSet, make_damage_error, read_exactly, spell_folders
from nas.errors import InvalidInputError

FILES = FileSet("things", ("a.bin", "b.bin"), ("things", "Things/raw", ""), endings=("", ".gz"))


def _touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


@pytest.mark.parametrize("folder", FILES.folders)
def test_each_folder_is_looked_into(tmp_path: Path, folder: str) -> None:
    assert FILES.find(tmp_path) is None
    paths = _touch(tmp_path / folder, "a.bin", "b.bin.gz")
    assert FILES.find(tmp_path) == paths


def test_files_are_never_put_together_from_two_folders(tmp_path: Path) -> None:
    _touch(tmp_path / "things", "a.bin")
    _touch(tmp_path / "Things/raw", "b.bin")
    assert FILES.find(tmp_path) is None


def test_earlier_folders_and_endings_come_first(tmp_path: Path) -> None:
    _touch(tmp_path, "a.bin", "b.bin")
    paths = _touch(tmp_path / "things", "a.bin", "b.bin")
    _touch(tmp_path / "things", "a.bin.gz")
    assert FILES.find(tmp_path) == paths


def test_missing_files_are_named_with_the_folders_and_the_flag(tmp_path: Path) -> None:
    _touch(tmp_path / "Things/raw", "b.bin")
    with pytest.raises(InvalidInputError) as error:
        FILES.obtain(tmp_path, download=None)
    message = str(error.value)
    assert message.startswith(f"things: a.bin not found in {tmp_path / 'Things/raw'}. Looked in {tmp_path}")
    assert "download=True (command line: --download)" in message
    assert "\n" not in message


def test_all_names_are_listed_when_no_folder_has_any(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"things: a\.bin, b\.bin not found\. Looked in"):
        FILES.obtain(tmp_path, download=None)


def test_downloading_happens_only_when_files_are_missing(tmp_path: Path) -> None:
    calls: list[int] = []

    def download() -> None:
        calls.append(1)
        _touch(tmp_path / "things", "a.bin", "b.bin")

    first = FILES.obtain(tmp_path, download=download)
    assert FILES.obtain(tmp_path, download=download) == first
    assert calls == [1]


def test_a_download_that_brings_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="not found"):
        FILES.obtain(tmp_path, download=lambda: None)


def test_every_spelling_of_a_folder_is_tried_and_the_root_comes_last() -> None:
    folders = spell_folders("fashion-mnist", "FashionMNIST", inner=("raw",))
    assert {"fashion-mnist", "fashion_mnist", "fashionmnist", "FashionMNIST", "FashionMNIST/raw", "raw"} <= set(folders)
    assert folders[-1] == ""
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_content_is_the_same_with_and_without_gzip(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / "file"
    path.write_bytes(pack(b"twelve bytes"))
    content = read_exactly(path, 12)
    assert content.tobytes() == b"twelve bytes"
    assert content.flags.writeable


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(("size", "message"), [(13, "expected 13 bytes, got 12"), (11, "expected 11 bytes, got more")])
def test_another_size_is_an_error_that_tells_both(tmp_path: Path, pack: type[bytes], size: int, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(pack(b"twelve bytes"))
    with pytest.raises(InvalidInputError, match=message) as error:
        read_exactly(path, size)
    assert str(path) in str(error.value)
    assert "Put a good copy in its place" in str(error.value)


@pytest.mark.parametrize("keep", [1, 2, 5, 15, 60, -9, -1])
def test_a_gzip_file_cut_anywhere_is_one_clear_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(bytes(range(256)))[:keep])
    with pytest.raises(InvalidInputError, match="cannot be used") as error:
        read_exactly(path, 256)
    assert "\n" not in str(error.value)


def test_a_wrong_gzip_checksum_is_noticed(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(bytes(1000)))
    content[-6] ^= 1
    (tmp_path / "file.gz").write_bytes(content)
    with pytest.raises(InvalidInputError, match="CRC check failed"):
        read_exactly(tmp_path / "file.gz", 1000)


def test_broken_compressed_bytes_are_noticed(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(bytes(range(256)) * 4))
    content[10] = 0xFF
    (tmp_path / "file.gz").write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"cannot be used: .*invalid block type"):
        read_exactly(tmp_path / "file.gz", 1024)


def test_a_file_that_cannot_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"cannot be used.*Is a directory"):
        read_exactly(tmp_path, 5)


def test_an_empty_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match="expected 5 bytes, got 0"):
        read_exactly(tmp_path / "file", 5)


def test_the_damage_message_has_file_reason_and_remedy() -> None:
    message = str(make_damage_error(Path("x/y.bin"), "it is red"))
    assert message.startswith("x/y.bin cannot be used: it is red. ")
    assert "--download" in message
