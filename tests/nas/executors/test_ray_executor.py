"""The pool of Ray actors: results come back, deaths are survived, impossible pools are refused."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from controllers.trial import Measurement, Trial
from nas.errors import InvalidInputError
from nas.executors.executor import Completion
from nas.executors.ray_executor import RayExecutor, RayOptions
from search_spaces.nasnet import cell_space

pytestmark = [
    pytest.mark.ray,
    # Ray's own start-up leaves these behind
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SPACE = cell_space("nasnet:blocks=1")


def trials(count: int) -> list[Trial]:
    rng = np.random.default_rng(0)
    return [Trial(number, SPACE.sample(rng)) for number in range(count)]


class Numbered:
    """Returns the trial's number; dies, raises or dawdles where it is told to."""

    def __init__(self, folder: str, die: Callable[[int, int], bool] = lambda number, attempt: False) -> None:
        self.folder = Path(folder)
        self.die = die

    def evaluate(self, trial: Trial) -> Measurement:
        mark = self.folder / str(trial.number)
        attempt = len(list(self.folder.glob(f"{trial.number}-*"))) + 1
        mark.with_name(f"{trial.number}-{attempt}").touch()
        if self.die(trial.number, attempt):
            os._exit(1)
        if trial.number == 5:
            raise KeyError("five")
        return Measurement("ok", {"number": trial.number, "pid": os.getpid()})


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    """One local Ray for the file: starting it takes seconds."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def drain(executor: RayExecutor, count: int) -> list[Completion]:
    done: list[Completion] = []
    end = time.monotonic() + 120
    while len(done) < count:
        assert time.monotonic() < end, f"only {len(done)} of {count} trials came back"
        done += executor.wait(1.0)
    return done


def test_every_trial_comes_back_once_from_two_processes(tmp_path: Path) -> None:
    executor = RayExecutor(Numbered(str(tmp_path)), RayOptions(workers=2))
    assert executor.num_workers == 2
    for trial in trials(20):
        executor.submit(trial)
    done = drain(executor, 20)
    executor.close()
    assert sorted(c.trial.number for c in done) == list(range(20))
    by_number = {c.trial.number: c.measurement for c in done}
    assert by_number[5].status == "error"
    assert "KeyError: 'five'" in by_number[5].error
    assert all(m.metrics["number"] == number for number, m in by_number.items() if number != 5)
    assert len({m.metrics["pid"] for m in by_number.values() if m.ok}) == 2
    assert {c.worker for c in done} == {"ray-0", "ray-1"}


def test_trial_whose_worker_dies_is_tried_again_elsewhere_or_later(tmp_path: Path) -> None:
    executor = RayExecutor(Numbered(str(tmp_path), lambda number, attempt: number == 3 and attempt == 1), RayOptions(2))
    for trial in trials(5):
        executor.submit(trial)
    done = {c.trial.number: c.measurement for c in drain(executor, 5)}
    executor.close()
    assert all(measurement.ok for measurement in done.values())
    assert sorted(p.name for p in tmp_path.glob("3-*")) == ["3-1", "3-2"]


def test_trial_that_keeps_killing_its_worker_is_given_up_and_the_pool_lives_on(tmp_path: Path) -> None:
    executor = RayExecutor(Numbered(str(tmp_path), lambda number, attempt: number == 1), RayOptions(2))
    for trial in trials(4):
        executor.submit(trial)
    done = {c.trial.number: c.measurement for c in drain(executor, 4)}
    assert done[1].status == "lost"
    assert "died 3 times" in done[1].error
    assert all(done[number].ok for number in (0, 2, 3))
    executor.submit(trials(7)[6])
    assert drain(executor, 1)[0].measurement.ok
    executor.close()


def test_wait_without_work_returns_at_once(tmp_path: Path) -> None:
    executor = RayExecutor(Numbered(str(tmp_path)), RayOptions(1))
    start = time.monotonic()
    assert executor.wait(30.0) == []
    executor.close()
    assert time.monotonic() - start < 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (RayOptions(workers=64), r"has 2: got --workers 64, use at most 2"),
        (RayOptions(workers=1, gpus_per_worker=0.5), r"1 workers of 0.5 GPU do not fit: Ray sees 0 GPUs"),
    ],
)
def test_pool_that_does_not_fit_is_refused(tmp_path: Path, options: RayOptions, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        RayExecutor(Numbered(str(tmp_path)), options)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="--workers must be at least 1"):
        RayOptions(workers=0)
    with pytest.raises(InvalidInputError, match="--gpus-per-worker must be >= 0"):
        RayOptions(gpus_per_worker=-1)
