"""What a trial costs besides its evaluation: our loop, serial and through two Ray workers, beside Ray Tune.

The evaluator returns at once, so all of the time is ask, key, journal, tell and transport. Run by `make bench`;
prints a Markdown table. Ratios within one run are what counts: machines differ and are noisy.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controllers.evolution import RegularizedEvolution
from controllers.random_search import RandomSearch
from controllers.trial import Measurement, Trial
from nas.executors.executor import Executor
from nas.executors.ray_executor import RayExecutor, RayOptions
from nas.executors.serial_executor import SerialExecutor
from nas.journal import Journal
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, SearchLoop
from search_spaces.graph import canonical, cell_key
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet")
REPEATS = 3


class Instant:
    """Returns at once."""

    def evaluate(self, trial: Trial) -> Measurement:
        """Return a result that depends on the architecture only."""
        return Measurement("ok", {"val_accuracy": sum(trial.architecture.choices) % 97 / 97})


def time_loop(make_executor: Callable[[], Executor], controller: type, trials: int) -> float:
    """Seconds a trial; starting the executor and its first trials are not counted."""
    executor = make_executor()
    canonical.cache_clear()  # a search meets each network for the first time
    cell_key.cache_clear()
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.create(Path(folder) / "run", {})
        loop = SearchLoop(controller(SPACE), journal, Screen(SPACE, Constraints(), lambda a: None))
        loop.run(executor, Limits(50))
        start = time.perf_counter()
        loop.run(executor, Limits(50 + trials))
        seconds = (time.perf_counter() - start) / trials
        journal.close()
    executor.close()
    return seconds


def time_tune(trials: int) -> float:
    """Seconds a trial of Ray Tune with the same space and reused actors, two at a time."""
    from ray import tune

    class Trainable(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None: ...

        def step(self) -> dict[str, Any]:
            return {"val_accuracy": 0.5, "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None: ...

        def load_checkpoint(self, checkpoint: Any) -> None: ...

    space = {d.name: tune.choice(list(range(len(d)))) for d in SPACE.decisions}
    config = tune.TuneConfig(num_samples=trials, max_concurrent_trials=2, reuse_actors=True)
    with tempfile.TemporaryDirectory() as folder:
        run = tune.RunConfig(storage_path=folder, verbose=0)
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            results = tune.Tuner(Trainable, param_space=space, tune_config=config, run_config=run).fit()
        seconds = (time.perf_counter() - start) / trials
    if results.num_errors or len(results) != trials:
        raise RuntimeError(f"Ray Tune finished {len(results)} of {trials} trials, {results.num_errors} with errors")
    return seconds


def report(name: str, seconds: list[float]) -> None:
    """Print one row."""
    milliseconds = [1000 * s for s in seconds]
    middle = statistics.median(milliseconds)
    print(
        f"| {name} | {middle:.2f} | {min(milliseconds):.2f} to {max(milliseconds):.2f} | {1000 / middle:,.0f} |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    import ray

    print("| loop | ms a trial (median of 3) | spread | trials a second |\n|---|---|---|---|")
    for controller in (RandomSearch, RegularizedEvolution):
        times = [time_loop(lambda: SerialExecutor(Instant()), controller, 2000) for _ in range(REPEATS)]
        report(f"serial, {controller.__name__}", times)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    pool = [time_loop(lambda: RayExecutor(Instant(), RayOptions(2)), RandomSearch, 1000) for _ in range(REPEATS)]
    report("two Ray workers, RandomSearch", pool)
    tuned = [time_tune(60) for _ in range(REPEATS)]
    report("Ray Tune, reuse_actors=True, random", tuned)
    print(f"\nRay Tune / ours through Ray: {statistics.median(tuned) / statistics.median(pool):.0f}")
    ray.shutdown()


if __name__ == "__main__":
    main()
