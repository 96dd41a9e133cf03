"""What all tests share: one torch thread, as on a worker, and the golden files."""

from __future__ import annotations

import gc
import json
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

GOLDEN = Path(__file__).parent / "golden"


def pytest_configure() -> None:
    """Hear Ctrl-C where a shell in the background had it ignored: processes that are started here inherit that."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """More threads than free cores slow small networks down a hundredfold, and tests run side by side."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden() -> Any:
    """Return a function that reads a golden file."""
    return lambda name: json.loads((GOLDEN / name).read_text())


@pytest.fixture(autouse=True)
def _no_onnx_beside_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained networks leave ONNX files where that is tested; elsewhere each would cost seconds."""
    monkeypatch.setattr("nas.exporting.running.BESIDE", ("python",))


@pytest.fixture(autouse=True)
def _collect_what_ray_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ray leaves open files and processes to the garbage collector: collect them here, not in a later test."""
    yield
    if request.node.get_closest_marker("ray"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Return a function that runs the command line in this process, as `nas` on a shell would."""
    from nas.cli import main

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["nas", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        assert isinstance(code, int)
        return Answer(code, captured.out, captured.err)

    return call
