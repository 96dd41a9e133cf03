"""Reading CIFAR's Python files without unpickling them.

Unpickling runs whatever a file says. Here the stream of pickle instructions is only looked at, as a disassembler
does, and the two things wanted are picked out of it: the one long run of bytes, and the numbers after a key.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.files import make_damage_error

Instruction = tuple[str, Any]
_BOOKKEEPING = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET", "PROTO", "FRAME"))
_PIXELS = 3072  # bytes an image: red, green and blue planes of 32x32


def read_pickled_records(path: Path, *, num_records: int, labels_key: str) -> NDArray[np.uint8]:
    """Return a file's records as the binary version has them.

    Args:
        path: a file of ``cifar-10-batches-py`` or ``cifar-100-python``.
        num_records: images it must hold.
        labels_key: ``labels`` or ``fine_labels``.

    Returns:
        uint8 array (num_records, 1 + 3072): label, then red, green and blue planes.

    Raises:
        InvalidInputError: the file does not hold these, or is cut short.
    """
    try:
        instructions = list(_disassemble(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise make_damage_error(path, f"it is not a complete pickle ({error})") from error
    labels = list(_numbers_after(labels_key, instructions))
    pixels = max((_to_bytes(value) for _, value in instructions if _is_text(value)), key=len, default=b"")
    if len(labels) != num_records or len(pixels) != num_records * _PIXELS or not 0 <= min(labels) <= max(labels) < 256:
        raise make_damage_error(
            path,
            f"expected {num_records:,} {labels_key} and {num_records * _PIXELS:,} bytes of pixels, "
            f"got {len(labels):,} and {len(pixels):,}",
        )
    records = np.empty((num_records, 1 + _PIXELS), dtype=np.uint8)
    records[:, 0] = labels
    records[:, 1:] = np.frombuffer(pixels, dtype=np.uint8).reshape(num_records, _PIXELS)
    return records


def _disassemble(content: bytes) -> Iterator[Instruction]:
    """Yield name and value of every instruction that carries data."""
    for opcode, value, _ in pickletools.genops(content):
        if value is not None and opcode.name not in _BOOKKEEPING:
            yield opcode.name, value


def _numbers_after(key: str, instructions: Iterable[Instruction]) -> Iterator[int]:
    rest = iter(instructions)
    for _, value in rest:
        if _is_text(value) and _to_bytes(value) == key.encode():
            break
    for _, value in takewhile(lambda instruction: isinstance(instruction[1], int), rest):
        yield value


def _is_text(value: object) -> bool:
    return isinstance(value, str | bytes | bytearray)


def _to_bytes(value: str | bytes | bytearray) -> bytes:
    # Python 2 wrote bytes as strings, which the disassembler shows as Latin-1
    return value.encode("latin-1", errors="replace") if isinstance(value, str) else bytes(value)
