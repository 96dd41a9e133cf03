"""Waiting for room on a full disk: a search pauses, says so, and goes on by itself when somebody has made some."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from nas.errors import DiskFullError
from nas.journal import Journal

TRY_S = 5.0  # between two attempts to write
PATIENCE_S = 3600.0  # of waiting without anybody making room, then the search ends as by any other error


def append_when_there_is_room(
    journal: Journal, kind: str, data: dict[str, Any], *, said: Callable[[str], None] = lambda text: None
) -> None:
    """Append an event to a journal; where the disk is full, wait for room.

    Workers go on with what they have meanwhile, and what they find waits with them.

    Args:
        journal: open for appending.
        kind: of the event.
        data: of the event.
        said: told that the search pauses, and that it goes on.

    Raises:
        DiskFullError: for an hour there was no room.
        StorageError: the journal cannot be written for another reason; nothing that was recorded is lost.
    """
    begun = None
    while True:
        try:
            journal.append(kind, data)
        except DiskFullError:
            if begun is None:
                begun = time.monotonic()
                said(f"the search pauses: there is no room for {journal.path}. Make some and it goes on by itself.")
            elif time.monotonic() - begun > PATIENCE_S:
                raise
            time.sleep(TRY_S)
        else:
            if begun is not None:
                said(f"there is room again, after {time.monotonic() - begun:.0f} s: the search goes on")
            return
