"""How much memory a process takes, as the Linux kernel counts it."""

from __future__ import annotations

import os
from pathlib import Path


def can_measure_memory() -> bool:
    """Return whether this system says it."""
    return Path("/proc/self/statm").exists()


def memory_bytes(process: int | str = "self") -> int:
    """Return the resident memory that a process shares with no other; 0 of one that is gone.

    Files and an object store that are mapped into it are left out: many workers read the same pages.

    Args:
        process: its number; this one by default.
    """
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()
    except OSError:
        return 0
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
