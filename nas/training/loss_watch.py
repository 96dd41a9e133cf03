"""Noticing that a loss is no finite number any more, without holding up the device that computes it."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor


@final
class LossWatch:
    """Looks at a sum of losses now and then. On a GPU it sees the value of an earlier look, which is there by now."""

    def __init__(self, device: torch.device) -> None:
        """Watch a sum on a device."""
        self._waits = device.type != "cuda"
        self._copy = torch.zeros((), pin_memory=not self._waits)
        self._copied: torch.cuda.Event | None = None

    def is_finite(self, total: Tensor) -> bool:
        """Return whether the sum is finite, as far as that can be told without waiting."""
        if self._waits:
            return math.isfinite(total.item())
        if self._copied is not None and not self._copied.query():  # type: ignore[no-untyped-call]
            return True
        finite = self._copied is None or math.isfinite(self._copy.item())
        self._copy.copy_(total, non_blocking=True)
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._copied.record()
        return finite
