"""Walking through a split in batches. Shuffling is the only thing drawn here; changing images is augmentation's."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from nas.data.image_data import Split
from nas.errors import InvalidInputError


def batches(
    split: Split, batch_size: int, *, generator: torch.Generator | None = None, drop_last: bool = False
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Walk once through a split.

    Args:
        split: the images, on any device.
        batch_size: images in a batch; the last batch holds what is left.
        generator: decides the order and lives on the CPU or on the split's device; None keeps the stored order.
        drop_last: leave out an incomplete last batch, unless it is the only one.

    Returns:
        An iterator of (images uint8 (batch, channels, height, width), labels int64 (batch,)). The order is drawn
        at the first step.

    Raises:
        InvalidInputError: the batch size is below 1.
    """
    count = count_batches(len(split), batch_size, drop_last=drop_last)
    return _walk(split, batch_size, count, generator)


def _walk(
    split: Split, batch_size: int, count: int, generator: torch.Generator | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    if generator is None:
        order = None
    else:
        order = torch.randperm(len(split), generator=generator, device=generator.device).to(split.images.device)
    for start in range(0, count * batch_size, batch_size):
        here = slice(start, start + batch_size)
        if order is None:  # a view, without copying
            yield split.images[here], split.labels[here]
        else:
            yield split.images.index_select(0, order[here]), split.labels.index_select(0, order[here])


def count_batches(num_images: int, batch_size: int, *, drop_last: bool = False) -> int:
    """Return how many batches `batches` gives; a schedule in steps is made from it.

    Raises:
        InvalidInputError: the batch size is below 1.
    """
    if batch_size < 1:
        raise InvalidInputError(f"a batch must hold at least 1 image, got batch size {batch_size}.")
    full, left = divmod(num_images, batch_size)
    return full + (left > 0 and (not drop_last or full == 0))
