"""Where networks are trained, checked before anything is made."""

from __future__ import annotations

import torch

from nas.errors import InvalidInputError


def check_device(device: str) -> None:
    """Refuse a device that cannot train here.

    Raises:
        InvalidInputError: no such device, or a GPU where torch sees none.
    """
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError):
        raise InvalidInputError(f"--device is cpu, cuda or cuda:N, got {device!r}.") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise InvalidInputError(f"--device {device} needs a GPU, and torch sees none here: use --device cpu.")
