"""SIGKILL at random moments: every asked trial has one result, and a serial search ends as the undisturbed one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.journal import FILE_NAME, read_journal

DRIVER = Path(__file__).with_name("driver.py")
TRIALS = 60
KILLED = -signal.SIGKILL


class Driver:
    """The process of `driver.py`."""

    def __init__(self, process: subprocess.Popen[str], settings: dict[str, Any]) -> None:
        self.process, self.settings = process, settings

    def go(self, folder: Path, **how: Any) -> int:
        """Start or resume a search in a folder, perhaps to be killed; return its exit status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        job = {"folder": str(folder), "settings": {**self.settings, **how.pop("settings", {})}, **how}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def driver(table: Path) -> Iterator[Driver]:
    """Return a process that carries out searches on the table."""
    sockets = tempfile.mkdtemp(prefix="nas-")  # short, as paths of sockets have to be
    environment = {"RAY_TMPDIR": sockets, "PYTHONPATH": str(DRIVER.parents[3]), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(DRIVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    settings = {"table": str(table), "objective": "late", "controller": "evolution", "trials": TRIALS, "seed": 2}
    with process:
        yield Driver(process, settings)
        assert process.stdin is not None
        process.stdin.close()
    shutil.rmtree(sockets, ignore_errors=True)


def assert_complete(folder: Path) -> None:
    """Every trial was asked for once and has one result; the search has as many as were wanted, and an answer."""
    events = read_journal(folder).events
    asked = [event.data["number"] for event in events if event.kind == "asked"]
    told = Counter(event.data["trial"]["number"] for event in events if event.kind == "told")
    assert asked == list(range(len(asked)))
    assert told == Counter(asked)
    found = [e.data for e in events if e.kind == "told" and e.data["measurement"]["status"] == "ok"]
    assert sum(one["reused_from"] is None for one in found) == TRIALS
    assert events[-1].kind == "final"
    assert (folder / "best" / "metrics.json").is_file()
    assert (folder / "config.toml").is_file()


def kill_and_resume(driver: Driver, base: Path, whole: Path, kills: int, tell: Callable[..., Any]) -> Counter[str]:
    """Kill searches at random sizes of the journal and at random moments; each then ends as the undisturbed one."""
    size = (whole / FILE_NAME).stat().st_size
    begin = time.monotonic()
    assert driver.go(base / "timed") == 0
    duration = time.monotonic() - begin
    rng = np.random.default_rng(7)
    outcomes: Counter[str] = Counter()
    for i in range(kills):
        folder = base / str(i)
        how: dict[str, Any] = {"byte": int(rng.integers(1, size))}
        if i % 3 == 1:
            how["after_s"] = float(rng.random() * 0.01)
        if i % 3 == 2:
            how = {"moment_s": float(rng.random() * duration)}
        status = driver.go(folder, **how)
        outcomes["killed" if status == KILLED else "ended"] += 1
        if (folder / FILE_NAME).exists() and not (folder / FILE_NAME).read_bytes().endswith(b"\n"):
            outcomes["torn"] += 1
        assert driver.go(folder) == 0, Path(f"{folder}.log").read_text()
        assert_complete(folder)
        assert tell(folder) == tell(whole)
    return outcomes


@pytest.fixture(scope="module")
def whole(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an undisturbed serial search."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert driver.go(folder) == 0, Path(f"{folder}.log").read_text()
    assert_complete(folder)
    return folder


def test_a_serial_search_killed_at_six_moments(driver: Driver, whole: Path, tmp_path: Path, story: Any) -> None:
    outcomes = kill_and_resume(driver, tmp_path, whole, 6, story)
    assert outcomes["killed"] >= 4  # by size always; a moment may come too late


@pytest.mark.slow
def test_a_serial_search_killed_at_fifty_moments(driver: Driver, whole: Path, tmp_path: Path, story: Any) -> None:
    outcomes = kill_and_resume(driver, tmp_path, whole, 75, story)
    print(dict(outcomes))
    assert outcomes["killed"] >= 50
    assert outcomes["torn"] >= 15


def test_killed_before_its_first_line_is_whole_it_is_started_again(driver: Driver, whole: Path, tmp_path: Path) -> None:
    for byte in (0, 1, 20, 200):
        folder = tmp_path / str(byte)
        assert driver.go(folder, byte=byte) == KILLED
        assert (folder / FILE_NAME).stat().st_size == byte
        assert driver.go(folder) == 0, Path(f"{folder}.log").read_text()
        assert_complete(folder)


def test_one_search_killed_again_and_again(driver: Driver, whole: Path, tmp_path: Path, story: Any) -> None:
    """Every session gets a little further, and is killed in the middle of a line or shortly behind it."""
    size = (whole / FILE_NAME).stat().st_size
    for number, byte in enumerate(range(100, size, size // 12)):
        how = {"after_s": 0.002} if number % 2 else {}
        assert driver.go(tmp_path / "run", byte=byte, **how) == KILLED
    assert driver.go(tmp_path / "run") == 0
    assert_complete(tmp_path / "run")
    assert story(tmp_path / "run") == story(whole)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_two_ray_workers_killed_at_fifty_moments(driver: Driver, whole: Path, tmp_path: Path) -> None:
    """One search in 51 sessions: its driver dies in the middle of a line, or shortly behind one with workers busy."""
    size = (whole / FILE_NAME).stat().st_size
    rng = np.random.default_rng(11)
    places = sorted(rng.integers(1, int(0.95 * size), 50).tolist())
    for number, byte in enumerate(places):
        how: dict[str, Any] = {"after_s": float(rng.random() * 0.004)} if number % 2 else {}
        status = driver.go(tmp_path / "run", byte=byte, settings={"executor": "ray", "workers": 2}, **how)
        assert status == KILLED, Path(f"{tmp_path / 'run'}.log").read_text()
    assert driver.go(tmp_path / "run", settings={"executor": "ray", "workers": 2}) == 0
    assert_complete(tmp_path / "run")
    workers = {e.data["worker"] for e in read_journal(tmp_path / "run").events if e.kind == "told"}
    assert len(workers) == 2
