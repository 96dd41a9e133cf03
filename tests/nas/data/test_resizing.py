"""Resizing gives the same bytes everywhere."""

import hashlib

import torch

from nas.data.resizing import resize_images


def _ramp(num_images: int, channels: int, size: int) -> torch.Tensor:
    count = num_images * channels * size * size
    return (torch.arange(count) * 37 % 251).to(torch.uint8).view(num_images, channels, size, size)


def test_the_same_size_gives_the_same_bytes() -> None:
    images = _ramp(3, 2, 8)
    assert torch.equal(resize_images(images, 8), images)


def test_a_flat_image_stays_flat_at_every_size() -> None:
    images = torch.full((2, 3, 8, 8), 77, dtype=torch.uint8)
    for size in (5, 8, 20):
        assert torch.equal(resize_images(images, size), torch.full((2, 3, size, size), 77, dtype=torch.uint8))


def test_halving_averages_with_antialiasing() -> None:
    """A checkerboard becomes grey; sampling without antialiasing would give black or white."""
    board = ((torch.arange(16)[:, None] + torch.arange(16)) % 2 * 255).to(torch.uint8).view(1, 1, 16, 16)
    assert (resize_images(board, 8).int() - 127).abs().max() <= 4


def test_images_and_channels_keep_their_places() -> None:
    images = torch.arange(6, dtype=torch.uint8).view(2, 3, 1, 1).expand(-1, -1, 4, 4).contiguous()
    resized = resize_images(images, 7)
    assert resized.is_contiguous()
    assert torch.equal(resized[:, :, 3, 3], torch.arange(6, dtype=torch.uint8).view(2, 3))


def test_the_bytes_are_those_of_the_first_version() -> None:
    """Resized bytes go into fingerprints: a change here makes runs refuse their own data."""
    digests = [hashlib.sha256(resize_images(_ramp(2, 3, 8), size).numpy().tobytes()).hexdigest() for size in (5, 12)]
    assert digests == [
        "aa8a2179013a59851824a17d83c3d861ffee950d3ca8a24ffd7364632beec91e",
        "2647df5317285bc4341429e937d1aa9d797a138b802cc9d159fb7e3edf7ec407",
    ]
