"""Which image belongs to which split, decided by the image's content alone.

A key is a hash of an image's bytes. Splits and subsets are chosen by key, so they do not depend on the order of
the files, on a seed or on the machine, and exact duplicates always land on the same side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from nas.errors import InvalidInputError

KEY_BITS = 63  # keys are kept in int64 tensors, so the sign bit stays clear
_PERSON = b"nas-data-keys-1"  # changing the way keys are made changes every split: give it a new number


def hash_contents(contents: Iterable[Any]) -> torch.Tensor:
    """Return one key per content.

    Args:
        contents: bytes-like objects; equal bytes give equal keys.

    Returns:
        int64 tensor (n,), values in [0, 2^63), evenly spread.
    """
    digests = b"".join(hashlib.blake2b(content, digest_size=8, person=_PERSON).digest() for content in contents)
    keys = np.frombuffer(digests, dtype=">u8").astype(np.uint64) >> np.uint64(64 - KEY_BITS)
    return torch.from_numpy(keys.astype(np.int64))


def hash_images(images: torch.Tensor) -> torch.Tensor:
    """Return one key per image.

    Args:
        images: uint8 tensor (n, channels, height, width).

    Returns:
        int64 tensor (n,); see `hash_contents`.
    """
    return hash_contents(images.cpu().contiguous().flatten(1).numpy())


def choose_share(keys: torch.Tensor, *, start: float, stop: float) -> torch.Tensor:
    """Return which keys lie in a share of the key space.

    Args:
        keys: int64 tensor (n,) from `hash_contents`.
        start: where the share starts, in [0, 1].
        stop: where it ends, in [0, 1]; the share holds about ``stop - start`` of different images.

    Returns:
        bool tensor (n,).
    """
    low, high = (round(edge * 2**KEY_BITS) for edge in (start, stop))
    chosen = (keys >= low) if low else torch.ones_like(keys, dtype=torch.bool)
    return chosen & (keys < high) if high < 2**KEY_BITS else chosen


def choose_balanced(keys: torch.Tensor, labels: torch.Tensor, *, limit: int) -> torch.Tensor:
    """Return the indices of a fixed subset with classes as even as they can be.

    Classes take turns, each giving its images by rising key, until `limit` is reached; a class that runs out is
    passed over. A smaller limit gives a subset of what a larger one gives.

    Args:
        keys: int64 tensor (n,) from `hash_contents`.
        labels: int64 tensor (n,).
        limit: images to choose; all of them when there are fewer.

    Returns:
        int64 tensor (min(limit, n),) of rising indices.

    Raises:
        InvalidInputError: the limit is below the number of classes that have images.
    """
    num_classes = len(np.unique(labels.numpy()))
    if limit < num_classes:
        raise InvalidInputError(
            f"a limit of {limit} training images leaves classes empty: give at least one for each of the "
            f"{num_classes} classes."
        )
    by_class = np.lexsort((keys.numpy(), labels.numpy()))
    sorted_labels = labels.numpy()[by_class]
    turn = np.empty(len(by_class), dtype=np.int64)
    turn[by_class] = np.arange(len(by_class)) - np.searchsorted(sorted_labels, sorted_labels)
    chosen = np.lexsort((keys.numpy(), turn))[:limit]
    return torch.from_numpy(np.sort(chosen))
