"""Ray that a search starts on this machine takes no connection from others, and asks its own for a token."""

from __future__ import annotations

import json
import subprocess
import sys

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


executor = RayExecutor(Quick(), RayOptions(workers=1))
print(json.dumps({"addresses": sorted(set(listening())), "token": os.environ.get("RAY_AUTH_MODE")}))
executor.close()
"""
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@pytest.mark.ray
def test_ray_listens_to_this_machine_only_and_asks_for_a_token() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["addresses"]
    assert set(found["addresses"]) <= LOOPBACK
    assert found["token"] == "token"
