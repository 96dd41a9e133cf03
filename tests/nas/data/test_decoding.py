"""Image files become bytes of one size, or one clear error."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data.decoding import decode_images, read_resolution
from nas.errors import InvalidInputError

RAMP = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)


def _save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_colour_pixels_come_as_planes(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", RAMP)
    images = decode_images([path], channels=3, resolution=8, resize=False)
    assert np.array_equal(images[0].numpy(), RAMP.transpose(2, 0, 1))


def test_images_keep_their_order(tmp_path: Path) -> None:
    paths = [_save(tmp_path / f"{i}.png", np.full((4, 4), i, dtype=np.uint8)) for i in range(30)]
    images = decode_images(paths, channels=1, resolution=4, resize=False)
    assert images[:, 0, 0, 0].tolist() == list(range(30))


def test_colour_becomes_grey_and_grey_becomes_colour_as_declared(tmp_path: Path) -> None:
    red = _save(tmp_path / "red.png", np.full((4, 4, 3), (255, 0, 0), dtype=np.uint8))
    grey = _save(tmp_path / "grey.png", np.full((4, 4), 90, dtype=np.uint8))
    assert decode_images([red], channels=1, resolution=4, resize=False).unique().tolist() == [76]
    assert decode_images([grey], channels=3, resolution=4, resize=False)[0, :, 0, 0].tolist() == [90, 90, 90]


def test_palettes_and_transparency_are_resolved(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 128))
    image.save(tmp_path / "rgba.png")
    image.convert("RGB").convert("P").save(tmp_path / "palette.gif")
    for name in ("rgba.png", "palette.gif"):
        images = decode_images([tmp_path / name], channels=3, resolution=4, resize=False)
        assert np.allclose(images[0, :, 0, 0].numpy(), (10, 20, 30), atol=25)


def test_the_central_square_is_resized(tmp_path: Path) -> None:
    """Of a wide image with black sides the white middle remains, smoothed where it met the sides."""
    wide = np.zeros((8, 24), dtype=np.uint8)
    wide[:, 8:16] = 255
    path = _save(tmp_path / "wide.png", wide)
    columns = decode_images([path], channels=1, resolution=4, resize=True)[0, 0, 0].tolist()
    assert columns == [columns[0], 255, 255, columns[0]]
    assert columns[0] > 200


def test_images_are_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4), dtype=np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored top is the right-hand side
    path = _save(tmp_path / "turned.png", pixels, exif=exif)
    image = decode_images([path], channels=1, resolution=4, resize=False)[0, 0]
    assert (image[:, 3] == 255).all()
    assert (image[:, :3] == 0).all()


def test_another_size_without_resizing_is_told(tmp_path: Path) -> None:
    path = _save(tmp_path / "wide.png", np.zeros((4, 6), dtype=np.uint8))
    with pytest.raises(InvalidInputError, match=r"differ in size: 4x4, but .*wide\.png is 4x6\. Give a resolution"):
        decode_images([path], channels=1, resolution=4, resize=False)


def test_the_side_of_a_square_image_is_read(tmp_path: Path) -> None:
    assert read_resolution(_save(tmp_path / "a.png", RAMP)) == 8
    with pytest.raises(InvalidInputError, match=r"must be square.*wide\.png is 4x6: give a resolution"):
        read_resolution(_save(tmp_path / "wide.png", np.zeros((4, 6), dtype=np.uint8)))


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tif"])
def test_a_cut_image_is_one_clear_error_that_names_it(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    path = _save(tmp_path / f"bad.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    good = _save(tmp_path / "good.png", noise)
    with pytest.raises(InvalidInputError, match=rf"bad\.{suffix} cannot be decoded") as error:
        decode_images([good, path], channels=3, resolution=32, resize=False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_image_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"bad\.png cannot be decoded"):
        decode_images([tmp_path / "bad.png"], channels=3, resolution=4, resize=True)


def test_a_broken_part_inside_an_image_is_one_clear_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    path = _save(tmp_path / "bad.png", noise)
    first, rest = path.read_bytes().split(b"IDAT", 1)
    path.write_bytes(first + b"IDAT" + rest.replace(b"IDAT", b"\0\0\0\0", 1))
    with pytest.raises(InvalidInputError, match=r"bad\.png cannot be decoded: broken PNG file"):
        decode_images([path], channels=3, resolution=256, resize=False)


def test_pixels_of_more_than_8_bits_are_refused_rather_than_cut_off(tmp_path: Path) -> None:
    path = _save(tmp_path / "deep.png", np.full((4, 4), 40_000, dtype=np.uint16))
    with pytest.raises(InvalidInputError, match=r"deep\.png cannot be decoded: its pixels have more than 8 bits"):
        decode_images([path], channels=1, resolution=4, resize=False)


def test_more_than_fits_into_memory_is_told_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.__getitem__, raising=False)
    with pytest.raises(InvalidInputError, match=r"1,000 images at 64x64 take 0\.0 GB.*give a lower resolution"):
        decode_images([Path("nowhere.png")] * 1000, channels=1, resolution=64, resize=True)
