"""What spending less per network costs: rank correlation of short trainings with full ones, and choices lost.

Random NASNet architectures are trained once, several seeds each, and their validation accuracy is kept after every
epoch. A shorter training of this project is the first epochs of the full one (the learning-rate schedule spans the
recipe), so the curves say exactly what successive halving would have seen. Curves are appended to a file one by one:
a run that was stopped goes on. `--table` adds NAS-Bench-201's columns after 12 and 200 epochs. Prints Markdown.

    python tests/benchmarks/bench_fidelity.py --curves /tmp/curves.jsonl --table nasbench201_cifar10.npz
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr

from controllers.rungs import AsynchronousRungs, HalvingOptions
from controllers.trial import Trial
from nas.building import count_architecture, stem_for
from nas.data import ImageData, load_data
from nas.evaluators.evaluator import evaluate_safely
from nas.evaluators.training_evaluator import build_seeded
from nas.evaluators.training_free import make_training_free
from nas.training.recipe import get_recipe
from nas.training.training_loop import Training
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.nasnet import cell_space
from search_spaces.randomness import derive_generator

SPACE = cell_space("nasnet")
RECIPE = get_recipe("proxy")
SCORES = ("params", "macs", "synflow", "naswot")
RANKS = (spearmanr, kendalltau)
TABLE_SCORES = {
    "params": "params_M",
    "macs": "flops_M_c10",
    "naswot": "zc_nwot_c10",
    "synflow": "zc_synflow_c10",
    "jacov": "zc_jacov_c10",
    "grad_norm": "zc_grad_norm_c10",
}
FAILED = -1e7  # the table writes -1e8 where a score could not be computed
DRAWS = 2000  # random sets of networks
START = 24  # networks of a search by default
Values = np.ndarray


def blueprint(architecture: Architecture, data: ImageData) -> Blueprint:
    """What a search trains on such images: the space's smallest size for them."""
    channels, resolution, _ = data.input_shape
    stem = stem_for(resolution)
    depth, width = SPACE.proxy_sizes[stem]
    return Blueprint(
        architecture, resolution, channels=channels, classes=data.classes, stem=stem, depth=depth, width=width
    )


def curve(architecture: Architecture, data: ImageData, seed: int) -> list[float]:
    """Return the validation accuracy after each epoch."""
    network = build_seeded(SPACE, blueprint(architecture, data), data=data, recipe=RECIPE, seed=seed)
    training = Training(network, data, recipe=RECIPE, seed=seed, validates=True)
    return [training.run_epoch().val_accuracy or 0.0 for _ in range(RECIPE.epochs)]


def architectures(count: int) -> list[Architecture]:
    """Return random ones of different function, the same for every `count` as far as it goes."""
    rng = derive_generator(0, 0, "fidelity")
    found: dict[str, Architecture] = {}
    while len(found) < count:
        drawn = SPACE.sample(rng)
        found.setdefault(SPACE.key(drawn), drawn)
    return list(found.values())


def read_lines(path: Path) -> dict[tuple[int, int], dict[str, Any]]:
    """Return what was trained before by (network, seed)."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {(entry["network"], entry["seed"]): entry for entry in map(json.loads, lines)}


def train_all(path: Path, data: ImageData, *, networks: int, seeds: int, seconds: float) -> None:
    """Append what is missing, network by network; start nothing after so many seconds."""
    done, deadline, drawn = read_lines(path), time.monotonic() + seconds, architectures(networks)
    for i, architecture in enumerate(drawn):
        for seed in range(seeds):
            if (i, seed) in done or time.monotonic() > deadline:
                continue
            accuracies = curve(architecture, data, seed)
            entry: dict[str, Any] = {"network": i, "seed": seed, "val_accuracy": accuracies}
            if seed == 0:
                entry["scores"] = scores(Trial(i, architecture), data)
            with path.open("a") as file:
                file.write(json.dumps(entry) + "\n")


def scores(trial: Trial, data: ImageData) -> dict[str, float]:
    """Return training-free scores and the counts; NaN for one that could not be computed."""
    cost = count_architecture(SPACE, blueprint(trial.architecture, data))
    found: dict[str, float] = {"params": cost.params, "macs": cost.macs}
    for name in ("synflow", "naswot"):
        evaluator = make_training_free(name, SPACE, blueprint(trial.architecture, data), data, seed=0)
        found[name] = evaluate_safely(evaluator, trial).metrics.get(name, math.nan)
    return found


@dataclass(frozen=True, slots=True)
class Ladder:
    """Successive halving: epochs of the rungs, and what share of a rung's networks goes on to the next."""

    epochs: tuple[int, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, *epochs: int, reduction: int | None = None) -> Ladder:
        """Return the ladder that the project's controllers climb with these budgets."""
        options = HalvingOptions(epochs, reduction)
        return cls(epochs, tuple(map(float, options.shares)))

    def climb(self, rungs: Values) -> tuple[int, int]:
        """Return the column of the chosen network, and the epochs spent.

        Args:
            rungs: score after each rung's epochs (rungs, networks).
        """
        alive, spent, before = np.arange(rungs.shape[1]), 0, 0
        for i, epochs in enumerate(self.epochs):
            spent += len(alive) * (epochs - before)
            order = alive[np.argsort(-rungs[i, alive], kind="stable")]
            alive = order[: max(1, int(len(alive) * self.shares[i]))] if i < len(self.shares) else order[:1]
            before = epochs
        return int(alive[0]), spent


@dataclass(frozen=True, slots=True)
class Arriving(Ladder):
    """The same as a search has it: networks come one by one, and whoever is in the top share by now goes on (ASHA)."""

    def climb(self, rungs: Values) -> tuple[int, int]:
        """Return the column of the chosen network, and the epochs spent."""
        schedule, spent, full = AsynchronousRungs(HalvingOptions(self.epochs)), 0, []

        def train(root: int, rung: int) -> None:
            nonlocal spent
            spent += self.epochs[rung] - (self.epochs[rung - 1] if rung else 0)
            schedule.report(root, rungs[rung, root])
            if rung == len(self.epochs) - 1:
                full.append(root)

        for root in range(rungs.shape[1]):
            train(root, schedule.enter(root))
            for promotion in iter(schedule.promote, None):
                train(promotion.root, promotion.rung)
        while (promotion := schedule.promote() or schedule.promote(last=True)) is not None:
            train(promotion.root, promotion.rung)
        return max(full, key=lambda root: (rungs[-1, root], -root)), spent


def correlations(x: Values, y: Values) -> str:
    """Spearman's and Kendall's coefficients, as cells of a row."""
    return f"{spearmanr(x, y).statistic:.3f} | {kendalltau(x, y).statistic:.3f}"


def report_curves(curves: Values) -> None:
    """Print correlations epoch by epoch; curves (seeds, networks, epochs)."""
    final = curves[:, :, -1]
    others = np.roll(final, 1, axis=0)
    count = curves.shape[1]
    print(f"{count} networks, {len(curves)} seeds; final accuracy {final.mean():.4f} ± {final.mean(0).std():.4f} over ")
    print(f"networks, {(final - final.mean(0)).std() * math.sqrt(2):.4f} between seeds of one.\n")
    print("| epochs | Spearman, same training | Kendall | Spearman, final of another seed | Kendall |")
    print("|---|---|---|---|---|")
    for epoch in range(curves.shape[2]):
        now = curves[:, :, epoch]
        own = [np.mean([rank(x, y).statistic for x, y in zip(now, final, strict=True)]) for rank in RANKS]
        other = [np.mean([rank(x, y).statistic for x, y in zip(now, others, strict=True)]) for rank in RANKS]
        print(f"| {epoch + 1} | {own[0]:.3f} | {own[1]:.3f} | {other[0]:.3f} | {other[1]:.3f} |")


def report_halving(curves: Values, *, start: int) -> None:
    """Print what successive halving loses against training everybody in full, over random sets of networks."""
    rng = np.random.default_rng(0)
    last = curves.shape[2]
    ladders = {
        "halving by 3 from 1 epoch": Ladder.of(1, 3, last),
        "halving by 2": Ladder.of(1, 2, 4, last),
        "halving by 2 from 2 epochs": Ladder.of(2, 4, last),
        "the same as networks come, as searches do by default": Arriving.of(2, 4, last),
        "best after 1 epoch, alone": Ladder((1, last), (1e-9,)),
        "best after 3 epochs, alone": Ladder((3, last), (1e-9,)),
    }
    print(f"\n| of {start} networks | epochs | regret, points, same seed | on the other seed | same choice |")
    print("|---|---|---|---|---|")
    sets = [(int(rng.integers(len(curves))), rng.choice(curves.shape[1], start, replace=False)) for _ in range(DRAWS)]
    for name, ladder in ladders.items():
        own, other, same, shares = [], [], [], []
        for seed, chosen in sets:
            here = curves[seed, chosen].T
            kept, spent = ladder.climb(here[[epochs - 1 for epochs in ladder.epochs]])
            best = int(np.argmax(here[-1]))
            elsewhere = curves[(seed + 1) % len(curves), chosen, -1]
            own.append(here[-1, best] - here[-1, kept])
            other.append(elsewhere[best] - elsewhere[kept])
            same.append(own[-1] <= 0)
            shares.append(spent / (start * last))
        print(f"| {name} | {np.mean(shares):.0%} | {spread(own)} | {spread(other)} | {np.mean(same):.0%} |")
    again = [(int(np.argmax(curves[0, c, -1])), int(np.argmax(curves[1 % len(curves), c, -1])), c) for _, c in sets]
    lost = [curves[1 % len(curves), c[best], -1] - curves[1 % len(curves), c[kept], -1] for kept, best, c in again]
    alike = np.mean([a == b for a, b, _ in again])
    print(f"| all trained in full, another seed | 100% | {spread(lost)} | | {alike:.0%} |")
    random = [curves[seed, chosen, -1].max() - curves[seed, chosen, -1].mean() for seed, chosen in sets]
    print(f"| any of them, by chance | 0 % | {spread(random)} | | |")


def spread(values: list[float]) -> str:
    """Mean and standard deviation in points."""
    return f"{100 * np.mean(values):.2f} ± {100 * np.std(values):.2f}"


def report_scores(lines: dict[tuple[int, int], dict[str, Any]], final: Values) -> None:
    """Print training-free scores beside the mean final accuracy of the seeds."""
    print("\n| score without training | Spearman | Kendall |\n|---|---|---|")
    for name in SCORES:
        column = np.array([lines[i, 0]["scores"][name] for i in range(len(final))], dtype=float)
        there = np.isfinite(column)
        print(f"| {name} | {correlations(column[there], final[there])} |")


def report_table(path: Path) -> None:
    """Print the same of NAS-Bench-201: 12 epochs against 200, and what a filter by a score loses."""
    with np.load(path) as archive:
        short, full, seeds = (archive[name] for name in ("c10_valid_12", "c10_valid_200", "c10_test_200_seeds"))
        columns = {name: archive[column].astype(float) for name, column in TABLE_SCORES.items()}
    print("\nNAS-Bench-201, CIFAR-10, 12 epochs (a schedule of their own) against 200\n")
    print("| cells | Spearman | Kendall |\n|---|---|---|")
    for name, share in (("all", 1.0), ("best half", 0.5), ("best 10 %", 0.1), ("best 1 %", 0.01)):
        top = full >= np.quantile(full, 1 - share)
        print(f"| {name} ({top.sum():,}) | {correlations(short[top], full[top])} |")
        both = top & np.isfinite(seeds[:, :2]).all(axis=1)
        print(f"| {name}: two seeds after 200 epochs ({both.sum():,}) | {correlations(*seeds[both, :2].T)} |")
    report_table_halving(short, full)
    print("\n| worst half dropped by | cells | Spearman | best 5 % lost | best 1 % lost | best 0.1 % lost |")
    print("|---|---|---|---|---|---|")
    for name, column in {"12 epochs": short, **columns}.items():
        there = np.isfinite(column) & (column > FAILED)
        value, worth = column[there], full[there]
        dropped = value < np.median(value)
        lost = [f"{dropped[worth >= np.quantile(worth, 1 - top)].mean():.1%}" for top in (0.05, 0.01, 0.001)]
        print(f"| {name} | {there.sum():,} | {spearmanr(value, worth).statistic:.3f} | {' | '.join(lost)} |")


def report_table_halving(short: Values, full: Values) -> None:
    """Print what is lost of the best of random sets when only some of them are trained for 200 epochs."""
    rng = np.random.default_rng(0)
    print(
        "\n| of random cells | share trained in full | epochs | regret, points | same choice |\n|---|---|---|---|---|"
    )
    for start in (24, 100):
        sets = [rng.choice(len(full), start, replace=False) for _ in range(DRAWS)]
        for share in (1 / 2, 1 / 3, 1 / 9, 1e-9):
            ladder = Ladder((12, 200), (share,))
            climbed = [ladder.climb(np.stack([short[chosen], full[chosen]])) for chosen in sets]
            lost = [(full[chosen].max() - full[chosen][i]) / 100 for chosen, (i, _) in zip(sets, climbed, strict=True)]
            kept = max(1, int(start * share))
            epochs = 12 / 200 + kept / start  # the schedules differ: a full training begins again
            print(f"| {start} | {kept} | {epochs:.0%} | {spread(lost)} | {np.mean(np.array(lost) <= 0):.0%} |")


def main() -> None:
    """Train what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=Path, default=Path("/tmp/fidelity.jsonl"), help="where curves are kept")
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300.0, help="start nothing after so many (default 300)")
    parser.add_argument("--table", type=Path, help="NAS-Bench-201 as .npz")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load_data("digits").for_search()
    train_all(arguments.curves, data, networks=arguments.networks, seeds=arguments.seeds, seconds=arguments.seconds)
    lines = read_lines(arguments.curves)
    networks, seeds = range(arguments.networks), range(arguments.seeds)
    count = next((i for i in networks if any((i, s) not in lines for s in seeds)), len(networks))  # have every seed
    if not count:
        raise SystemExit(f"No network has all its seeds yet: run it again, {arguments.curves} goes on.")
    curves = np.array([[lines[i, s]["val_accuracy"] for i in range(count)] for s in range(arguments.seeds)])
    print(f"Digits, recipe 'proxy', {RECIPE.epochs} epochs\n")
    report_curves(curves)
    report_halving(curves, start=min(START, count))
    report_scores(lines, curves[:, :, -1].mean(0))
    if arguments.table is not None:
        report_table(arguments.table)


if __name__ == "__main__":
    main()
