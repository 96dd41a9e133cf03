"""Lines of JSON with a checksum of everything up to their end, as journals and training logs are made of.

A line that is torn, altered, doubled, missing, or taken from another file is noticed: its checksum goes on from that
of the line before it. What the lines mean is not known here.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

_SEAL = b',"crc":"'


def seal(fields: Mapping[str, Any], *, before: int) -> tuple[bytes, int]:
    """Return a line, with its newline, and its checksum.

    Args:
        fields: JSON-ready, at least one.
        before: checksum of the line before it; 0 for the first, or where every line stands by itself.

    Raises:
        ValueError: a number is not finite, or a value is none that JSON has.
    """
    body = json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()
    checksum = zlib.crc32(body, before)
    return b'%s%s%08x"}\n' % (body[:-1], _SEAL, checksum), checksum


def unseal(line: bytes, *, before: int) -> tuple[dict[str, Any], int] | None:
    """Return the fields of a line and its checksum, or None where it is not as it was written.

    Args:
        line: without its newline.
        before: checksum of the line before it.
    """
    body, separator, tail = line.rpartition(_SEAL)
    checksum = zlib.crc32(body + b"}", before)
    if not separator or tail != b'%08x"}' % checksum:
        return None
    try:
        fields = json.loads(body + b"}")
    except (ValueError, RecursionError):  # a right checksum on what never was a line
        return None
    return (fields, checksum) if isinstance(fields, dict) else None
