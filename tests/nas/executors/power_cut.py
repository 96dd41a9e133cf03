"""Killing a whole node of a test's cluster at once, as a power cut would."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any


def raylet_of(node: Any) -> int:
    """Return the process that is the parent of all of a node's workers."""
    return int(node.all_processes["raylet"][0].process.pid)


def parent_of(process: int) -> int:
    """Return a process's parent; 0 of one that is gone."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def cut_off(cluster: Any, node: Any) -> None:
    """Kill a node's processes, and have the cluster forget it."""
    raylet = raylet_of(node)
    children = [int(path.name) for path in Path("/proc").glob("[0-9]*") if parent_of(int(path.name)) == raylet]
    for process in [raylet, *children]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)
