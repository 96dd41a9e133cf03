"""What a search finds that trains all networks in full, and one that trains all a little and the best in full.

Real searches of the NASNet space on digits, one process each. What each found is trained anew with seeds that no search
saw and measured on test images that none saw either, so luck in the search counts for nothing. Searches lie in a folder
and go on where they were stopped. Prints Markdown.

    python tests/benchmarks/bench_halving.py --folder /tmp/halving --seeds 4
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search_spaces.architecture import Architecture

FRESH = (1001, 1002, 1003)  # seeds of the trainings that say what a found network is worth
LADDER, FULL = "asha:predictor", "predictor"


@dataclass(frozen=True, slots=True)
class Arm:
    """A controller, and how many networks it may begin."""

    controller: str
    trials: int

    def search(self, folder: Path, seed: int) -> Path:
        """Search, or go on with a search of fewer networks; return the run's folder."""
        import nas
        from nas.searching import start

        run = folder / f"{self.controller.replace(':', '-')}-{seed}"
        if run.exists():
            nas.resume(run, trials=self.trials, concludes=False)
        else:
            start(nas.SearchConfig(controller=self.controller, trials=self.trials, seed=seed), out=run, concludes=False)
        return run


# in this order, since the larger ladder goes on with the smaller; the smaller of the others is a prefix of the larger
ARMS = (Arm(LADDER, 24), Arm(LADDER, 48), Arm(FULL, 24))


def measure(arm: Arm, folder: Path, seed: int) -> list[dict[str, float | int | str]]:
    """Search, and return what was found after so many networks: epochs spent, and accuracies of fresh trainings."""
    import torch

    import nas
    from controllers.trial import Objective
    from nas.ranking import rank_records

    torch.set_num_threads(1)
    records = nas.load(arm.search(folder, seed)).records
    found = []
    for trials in (arm.trials // 2, arm.trials) if arm.controller == FULL else (arm.trials,):
        begun = records if arm.controller == LADDER else [r for r in records if r.trial.number < trials]
        best = rank_records(begun, Objective())[0].trial.architecture
        epochs = sum(r.measurement.metrics.get("epochs_spent", 0) for r in begun)
        accuracies = [fresh_accuracy(best, fresh) for fresh in FRESH]
        entry = {"controller": arm.controller, "trials": trials, "seed": seed, "epochs": epochs}
        found.append(entry | {f"accuracy_{i}": accuracy for i, accuracy in enumerate(accuracies)})
    return found


def fresh_accuracy(architecture: Architecture, seed: int) -> float:
    """Return the test accuracy of a network that is trained with a seed of its own."""
    from nas.config import SearchConfig
    from nas.data import load_data
    from nas.evaluators.training_evaluator import build_seeded
    from nas.training.measuring import measure_accuracy
    from nas.training.training_loop import Training
    from search_spaces.registry import get_space

    config, data = SearchConfig(), load_data("digits")
    channels, resolution, _ = data.input_shape
    space, recipe = get_space(config.space), config.search_recipe
    blueprint = config.blueprint(architecture, resolution=resolution, channels=channels, classes=data.classes)
    network = build_seeded(space, blueprint, data=data, recipe=recipe, seed=seed)
    training = Training(network, data, recipe=recipe, seed=seed)
    for _ in range(recipe.epochs):
        training.run_epoch()
    return measure_accuracy(network, data, data.test).share


def report(entries: list[dict[str, float | int | str]]) -> None:
    """Print a row an arm, and the differences within seeds from the ladder of 24."""
    arms: dict[tuple[str, int], dict[int, tuple[float, float]]] = {}
    for entry in entries:
        accuracy = float(np.mean([float(entry[f"accuracy_{i}"]) for i in range(len(FRESH))]))
        arm = arms.setdefault((str(entry["controller"]), int(entry["trials"])), {})
        arm[int(entry["seed"])] = (float(entry["epochs"]), accuracy)
    ladder = arms.get((LADDER, 24), {})
    print("| controller | networks | epochs | test accuracy of the choice | less the ladder of 24 | searches |")
    print("|---|---|---|---|---|---|")
    for (controller, trials), arm in sorted(arms.items(), key=lambda pair: pair[0][1]):
        epochs, accuracy = (np.array([value[i] for value in arm.values()]) for i in (0, 1))
        less = np.array([arm[seed][1] - ladder[seed][1] for seed in arm if seed in ladder])
        error = f" ± {less.std(ddof=1) / len(less) ** 0.5:.2%}" if len(less) > 1 else ""
        told = "" if (controller, trials) == (LADDER, 24) or not len(less) else f"{less.mean():+.2%}{error}"
        print(f"| {controller} | {trials} | {epochs.mean():.0f} | {accuracy.mean():.2%} | {told} | {len(arm)} |")


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("/tmp/halving"), help="where searches are kept")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=300.0, help="start nothing after so many (default 300)")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path, deadline = arguments.folder / "found.jsonl", time.monotonic() + arguments.seconds
    entries = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(entry["controller"], entry["trials"], entry["seed"]) for entry in entries}
    with ProcessPoolExecutor(arguments.workers) as pool:
        for arm in ARMS:  # all of one arm before the next, which may go on with its searches
            missing = [seed for seed in range(arguments.seeds) if (arm.controller, arm.trials, seed) not in done]
            work = [pool.submit(timely, arm, arguments.folder, seed, deadline) for seed in missing]
            for future in work:
                entries += (new := future.result())
                with path.open("a") as file:
                    file.writelines(json.dumps(entry) + "\n" for entry in new)
    report(entries)


def timely(arm: Arm, folder: Path, seed: int, deadline: float) -> list[dict[str, float | int | str]]:
    """As `measure`; nothing when it is too late to begin."""
    return measure(arm, folder, seed) if time.monotonic() < deadline else []


if __name__ == "__main__":
    main()
