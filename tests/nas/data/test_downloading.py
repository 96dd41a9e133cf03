"""Downloads appear only when complete and verified, and archives reach nothing but the files that were asked for."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from nas.data.downloading import download_file, extract_files
from nas.errors import InvalidInputError, NASError

CONTENT = b"what a server has"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def url(server: tuple[Path, str]) -> str:
    """Return the address of a file."""
    folder, address = server
    (folder / "file.bin").write_bytes(CONTENT)
    return address + "file.bin"


def test_a_verified_file_appears_under_its_name(tmp_path: Path, url: str) -> None:
    path = tmp_path / "new" / "folder" / "file.bin"
    download_file([url], path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_a_wrong_checksum_leaves_nothing_behind(tmp_path: Path, url: str) -> None:
    path = tmp_path / "file.bin"
    with pytest.raises(NASError, match=f"{url}: what came does not have the MD5 checksum {'0' * 32}") as error:
        download_file([url], path, md5="0" * 32)
    assert "\n" not in str(error.value)
    assert not path.exists()
    assert not list(tmp_path.glob("*.part"))


def test_the_next_address_is_tried(tmp_path: Path, url: str) -> None:
    download_file([url + "-missing", url], tmp_path / "file.bin", md5=MD5)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_no_address_that_answers_is_one_line_with_every_reason(tmp_path: Path, url: str) -> None:
    with pytest.raises(NASError, match=r"file\.bin could not be downloaded") as error:
        download_file([url + "-1", "no address at all"], tmp_path / "file.bin", md5=MD5)
    assert url + "-1: HTTP Error 404" in str(error.value)
    assert "no address at all: " in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_an_existing_file_is_never_replaced(tmp_path: Path, url: str) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"mine")
    download_file([url], path, md5=MD5)
    assert path.read_bytes() == b"mine"


def test_an_interrupted_download_is_started_again(tmp_path: Path, url: str) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:4])
    download_file([url], tmp_path / "file.bin", md5=MD5)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def _pack(path: Path, **members: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_named_files_are_written_and_others_are_not(tmp_path: Path) -> None:
    archive = _pack(tmp_path / "a.tar.gz", **{"inner/one.bin": b"1", "inner/two.bin": b"2", "inner/readme": b"r"})
    extract_files(archive, tmp_path / "out", names=("one.bin", "two.bin"))
    assert sorted((path.name, path.read_bytes()) for path in (tmp_path / "out").iterdir()) == [
        ("one.bin", b"1"),
        ("two.bin", b"2"),
    ]


@pytest.mark.parametrize("name", ["../one.bin", "/one.bin", "a/../../../one.bin"])
def test_paths_that_climb_out_land_inside(tmp_path: Path, name: str) -> None:
    archive = _pack(tmp_path / "a.tar.gz", **{name: b"1"})
    extract_files(archive, tmp_path / "deep" / "out", names=("one.bin",))
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path != archive]
    assert written == [tmp_path / "deep" / "out" / "one.bin"]


def test_links_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("one.bin")
        info.type, info.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        tar.addfile(info)
    extract_files(tmp_path / "a.tar", tmp_path / "out", names=("one.bin",))
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_archive_is_one_clear_error(tmp_path: Path, content: bytes | None) -> None:
    archive = _pack(tmp_path / "a.tar.gz", **{"one.bin": bytes(range(256)) * 64})
    archive.write_bytes(archive.read_bytes()[:-20] if content is None else content)
    with pytest.raises(InvalidInputError, match=r"a\.tar\.gz cannot be used"):
        extract_files(archive, tmp_path / "out", names=("one.bin",))
    assert not (tmp_path / "out" / "one.bin").exists()
