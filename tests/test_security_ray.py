"""Ray that a search starts takes no connection from other machines, asks its own for a token, and may be slow."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

# A fresh process, since Ray decides where it listens when it is imported.
CODE = """
import json, os
from pathlib import Path
from nas.evaluators.evaluator import Evaluator
from nas.executors.ray_executor import RayExecutor, RayOptions


class Quick(Evaluator):
    def evaluate(self, trial):
        raise NotImplementedError


def parents(process):
    while process > 1:
        yield process
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return


def listening():
    "Addresses at which this process and those that it started listen, in hexadecimal."
    sockets = {}
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                sockets[f"socket:[{fields[9]}]"] = fields[1].partition(":")[0]
    for process in filter(str.isdecimal, os.listdir("/proc")):
        if os.getpid() in parents(int(process)):
            try:
                files = [os.readlink(file) for file in Path(f"/proc/{process}/fd").iterdir()]
            except OSError:
                continue
            yield from (sockets[file] for file in files if file in sockets)


said = []


def hear(line):
    said.append(line)
    os.environ["RAY_gcs_server_port_wait_time_s"] = "90"


os.environ["RAY_gcs_server_port_wait_time_s"] = "0"  # Ray gives up at once, the first time
executor = RayExecutor(Quick(), RayOptions(workers=1), hear)
names = []
for process in filter(str.isdecimal, os.listdir("/proc")):
    try:
        if os.getpid() in parents(int(process)):
            names.append(Path(f"/proc/{process}/comm").read_text().strip())
    except OSError:
        pass
found = {"addresses": sorted(set(listening())), "token": os.environ.get("RAY_AUTH_MODE"), "names": names, "said": said}
executor.close()
print(json.dumps(found))
"""
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What such a process sees, whose first start of Ray times out."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.ray
def test_ray_listens_to_this_machine_only_and_asks_for_a_token(found: dict[str, Any]) -> None:
    assert found["addresses"]
    assert set(found["addresses"]) <= LOOPBACK
    assert found["token"] == "token"


@pytest.mark.ray
def test_a_start_that_times_out_is_tried_again_and_leaves_nothing(found: dict[str, Any]) -> None:
    (line,) = found["said"]
    assert line.startswith("Ray did not start in time (attempt 1 of 3): ")
    assert "gcs_server_port" in line
    assert (found["names"].count("gcs_server"), found["names"].count("raylet")) == (1, 1)
