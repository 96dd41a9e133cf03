"""Fetching files with checksums. Only what `download=True` asked for comes here."""

from __future__ import annotations

import shutil
import tarfile
import zlib
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO

from nas.data.files import make_damage_error
from nas.errors import NASError


def download_file(urls: Sequence[str], path: Path, *, md5: str) -> None:
    """Fetch a file, unless it exists; it appears under its name only when complete and verified.

    Args:
        urls: where to fetch it from, tried in order.
        path: where to put it; folders are made.
        md5: its checksum, in hexadecimal.

    Raises:
        NASError: no address gave a file with this checksum.
    """
    from torchvision.datasets.utils import download_url

    if path.is_file():
        return
    part = path.with_name(path.name + ".part")
    failures = []
    for url in urls:
        try:
            download_url(url, str(path.parent), part.name, md5)
        except RuntimeError:  # torchvision's word for a wrong checksum
            failures.append(f"{url}: what came does not have the MD5 checksum {md5}")
        except (OSError, ValueError, HTTPException) as error:
            failures.append(f"{url}: {error}")
        else:
            part.replace(path)
            return
        part.unlink(missing_ok=True)
    raise NASError(
        f"{path.name} could not be downloaded ({'; '.join(failures)}). Try again, or put it into {path.parent}."
    )


def extract_files(archive: Path, folder: Path, *, names: Sequence[str]) -> None:
    """Write the named files of a tar archive into a folder, whatever folders the archive has them in.

    Only these names are ever written and the archive's own paths are not, so it cannot reach anything else.

    Args:
        archive: the tar file, compressed or not.
        folder: where to; it is made.
        names: files to write; others are passed over.

    Raises:
        InvalidInputError: the archive is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                if name in names and member.isfile() and (content := tar.extractfile(member)):
                    _write_whole(content, folder / name)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise make_damage_error(archive, str(error)) from error


def _write_whole(content: IO[bytes], path: Path) -> None:
    """Write a file so that it has its name only when it is complete."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        shutil.copyfileobj(content, file)
    part.replace(path)
