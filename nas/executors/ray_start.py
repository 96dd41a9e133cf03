"""Starting a Ray of one's own on this machine: it takes seconds, or a minute where other work holds the processors."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from nas.errors import NASError

START_S = 90  # that Ray gives each of its processes to start; its own 10 to 30 are too few for a loaded machine
STARTS = 3  # for what Ray waits for with a limit of its own that no setting changes
SETTINGS = {
    "RAY_gcs_server_port_wait_time_s": str(START_S),
    "RAY_raylet_start_wait_time_s": str(START_S),
    "RAY_agent_register_timeout_ms": str(START_S * 1000),
}


def prepare_start() -> None:
    """Have a slow start waited for, unless the user says how long; Ray reads most of this when it is imported."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def start_ray(ray: ModuleType, said: Callable[[str], None] = lambda text: None, **settings: Any) -> None:
    """Start Ray on this machine; a start that times out is tried again.

    Args:
        ray: the module.
        said: told that a start timed out.
        **settings: of ``ray.init``.

    Raises:
        NASError: Ray does not start.
    """
    for attempt in range(1, STARTS + 1):
        before = _own_processes(ray)
        try:
            ray.init("local", include_dashboard=False, log_to_driver=False, **settings)
            return
        except Exception as error:  # Ray raises just that where its own node is late
            ray.shutdown()
            _stop(_own_processes(ray) - before)
            reason = str(error).strip()
            if attempt == STARTS or "timed out" not in reason.lower():
                raise NASError(f"cannot start Ray on this machine: {reason}") from None
        said(f"Ray did not start in time (attempt {attempt} of {STARTS}): {reason.splitlines()[0]} Trying again.")


def _own_processes(ray: ModuleType) -> set[int]:
    """Return the children of this process that belong to Ray; none where the system has no /proc.

    Those of a failed start are nobody's: Ray forgets them, and they would run until this process ends.
    """
    home, found = os.fsencode(Path(str(ray.__file__)).parent), set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and home in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
    return found


def _stop(processes: set[int]) -> None:
    for process in processes:
        with suppress(OSError):  # it may have ended, and been waited for, in the meantime
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
