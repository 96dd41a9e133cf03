"""Splits on a device, copied there once for all networks of a process."""

from __future__ import annotations

from functools import lru_cache

import torch

from nas.data.image_data import Split

_KEPT = 4  # training and validation images of two data sets


def resident(split: Split, device: torch.device | str) -> Split:
    """Return a split with its bytes on a device, where they stay until four others were asked for.

    Args:
        split: the images; on a CPU they are used where they are.
        device: where they are read.
    """
    device = torch.device(device)
    return split.to(device) if device.type == "cpu" else _copied(split, device)


@lru_cache(maxsize=_KEPT)
def _copied(split: Split, device: torch.device) -> Split:
    return split.to(device)
