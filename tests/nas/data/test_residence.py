"""Images on a device: copied once, equal images once, and not at all on a CPU."""

from __future__ import annotations

import torch

from nas.data import Split
from nas.data.residence import _copied, resident


def split(value: int) -> Split:
    return Split(torch.full((4, 1, 2, 2), value, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))


def test_equal_images_are_copied_once_and_others_are_not_mistaken_for_them() -> None:
    cpu = torch.device("cpu")  # where copying costs nothing, so that no GPU is needed
    assert _copied(split(1), cpu) is _copied(split(1), cpu)
    assert _copied(split(2), cpu) != _copied(split(1), cpu)


def test_on_a_cpu_images_are_used_where_they_are() -> None:
    given = split(3)
    assert resident(given, "cpu").images.data_ptr() == given.images.data_ptr()
