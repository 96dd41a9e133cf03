"""A start of Ray that times out is tried again, and one that fails says why."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nas.errors import NASError
from nas.executors.ray_start import STARTS, start_ray


class Ray(SimpleNamespace):
    """Fails to start, as Ray does, so often."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__(__file__="/nowhere/ray/__init__.py", errors=list(errors), started=[], stopped=0)

    def init(self, *arguments: Any, **settings: Any) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.started.append((arguments, settings))

    def shutdown(self) -> None:
        self.stopped += 1


LATE = RuntimeError("Timed out waiting for file /tmp/ray/session_1/gcs_server_port_2.")
NODE_LATE = Exception("The current node timed out during startup. This could happen because ...")


def test_a_start_that_times_out_is_tried_again_and_said() -> None:
    said: list[str] = []
    ray = Ray(LATE, NODE_LATE)
    start_ray(ray, said.append, num_cpus=2)  # type: ignore[arg-type]
    assert [settings["num_cpus"] for _, settings in ray.started] == [2]
    assert ray.stopped == 2
    assert [line.partition(":")[0] for line in said] == [
        "Ray did not start in time (attempt 1 of 3)",
        "Ray did not start in time (attempt 2 of 3)",
    ]
    assert "gcs_server_port" in said[0]


@pytest.mark.parametrize(
    ("errors", "attempts"), [([LATE] * STARTS, STARTS), ([ValueError("num_cpus must be >= 0")], 1)]
)
def test_what_does_not_start_is_one_line(errors: list[Exception], attempts: int) -> None:
    said: list[str] = []
    ray = Ray(*errors)
    with pytest.raises(NASError, match="cannot start Ray on this machine: ") as raised:
        start_ray(ray, said.append)  # type: ignore[arg-type]
    assert str(errors[-1]) in str(raised.value)
    assert (ray.stopped, len(said), ray.started) == (attempts, attempts - 1, [])
