"""What all tests share: one torch thread, as on a worker, and the golden files."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

from nas.training.recipe import Recipe, get_recipe

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
# What processes that evaluate import: a child finds it by the path, Ray's workers by the environment.
EVALUATORS = [str(HERE / "nas" / name) for name in ("executors", "fire")]
settings.register_profile("busy machine", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")
# Ray's own start-up leaves these behind
LEFT_BY_RAY = ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning")


def pytest_configure() -> None:
    """Have a slow start of Ray waited for, and hear Ctrl-C though a shell in the background had it ignored.

    Processes that are started here inherit both.
    """
    from nas.executors.ray_start import prepare_start

    prepare_start()  # before anything imports Ray, which reads it then
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that start Ray leave what Ray leaves."""
    for item in items:
        if item.get_closest_marker("ray"):
            for warning in LEFT_BY_RAY:
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{warning}"), append=False)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """More threads than free cores slow small networks down a hundredfold, and tests run side by side."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _evaluators_importable() -> Iterator[None]:
    """Have processes that are started from here find the evaluators of tests."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in EVALUATORS:
            patch.syspath_prepend(folder)
            patch.setenv("PYTHONPATH", folder, prepend=os.pathsep)
        yield


@pytest.fixture(scope="session")
def _ray_stopped_at_the_end() -> Iterator[None]:
    yield
    stop_ray()


def stop_ray() -> None:
    import ray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        ray.shutdown()
        gc.collect()


@pytest.fixture
def ray_here(_evaluators_importable: None, _ray_stopped_at_the_end: None) -> None:
    """One Ray with two processors for all tests of this process: starting it takes seconds, or a minute under load.

    Searches join it. It is started as a search starts its own.
    """
    import ray

    from nas.executors.ray_start import start_ray

    if not ray.is_initialized():
        start_ray(ray, print, num_cpus=2, _node_ip_address="127.0.0.1")


@pytest.fixture
def ray_cluster(_evaluators_importable: None, _ray_stopped_at_the_end: None) -> Iterator[Any]:
    """A cluster of one node without processors, where the driver is; tests add others."""
    from ray.cluster_utils import Cluster

    stop_ray()  # a search would join it instead
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        yield found
    finally:
        stop_ray()
        found.shutdown()


@pytest.fixture(scope="session")
def golden() -> Any:
    """Return a function that reads a golden file."""
    return lambda name: json.loads((GOLDEN / name).read_text())


@pytest.fixture(autouse=True, scope="session")
def _short_retraining(request: pytest.FixtureRequest) -> Iterator[None]:
    """Retrain a search's best network by half of the default recipe; its 40 epochs are for the slow tests."""
    with pytest.MonkeyPatch.context() as patch:
        if request.config.option.markexpr == "not slow":
            patch.setattr("nas.image_problem.get_recipe", shortened)
        yield


def shortened(name: str) -> Recipe:
    recipe = get_recipe(name)
    return replace(recipe, epochs=recipe.epochs // 2) if name == "quick" else recipe


@pytest.fixture(autouse=True)
def _no_onnx_beside_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained networks leave ONNX files where that is tested; elsewhere each would cost seconds."""
    monkeypatch.setattr("nas.exporting.running.BESIDE", ("python",))


@pytest.fixture(autouse=True)
def _collect_what_ray_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect open files and processes here, not in a later test, and take back Ctrl-C, which Ray Tune keeps."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    if request.node.get_closest_marker("ray"):
        signal.signal(signal.SIGINT, handler)
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
