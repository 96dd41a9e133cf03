"""What training-free scores say about NAS-Bench-201 cells: rank correlations with measured results, and seconds.

Each score is computed on random cells of a table, with images of CIFAR-10, and ranked beside the table's accuracy
after 200 epochs and its own column of the same score where it has one. Prints a Markdown table; without the data
it says what it needs.

    python tests/benchmarks/bench_training_free.py --table nasbench201_cifar10.npz --data-root FOLDER
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from controllers.trial import Measurement, Trial
from nas.data import ImageData, load_data
from nas.evaluators.evaluator import evaluate_safely
from nas.evaluators.training_free import TRAINING_FREE, make_training_free
from search_spaces.architecture import Blueprint
from search_spaces.nasbench201 import NasBench201Space

ACCURACY = "c10_valid_200"
OWN_COLUMNS = {
    "params": "params_M",
    "macs": "flops_M_c10",
    "naswot": "zc_nwot_c10",
    "synflow": "zc_synflow_c10",
    "grad_norm": "zc_grad_norm_c10",
    "snip": "zc_snip_c10",
    "jacov": "zc_jacov_c10",
    "zen": "zc_zen_c10",
}
FAILED = -1e7  # the table writes -1e8 where a score could not be computed
SPACE = NasBench201Space()
Column = np.ndarray


def score_rows(name: str, cells: list[str], rows: list[int], data: ImageData, depth: int) -> list[Measurement]:
    """Return the measurements of these rows' cells; a trial's number is its row."""
    channels, resolution, _ = data.input_shape
    any_cell = SPACE.from_string(cells[0])
    blueprint = Blueprint(any_cell, resolution, channels=channels, classes=data.classes, depth=depth, width=16)
    evaluator = make_training_free(name, SPACE, blueprint, data, seed=0)
    return [evaluate_safely(evaluator, Trial(row, SPACE.from_string(cells[row]))) for row in rows]


def rank_correlation(scores: Column, column: Column) -> str:
    """Spearman's coefficient over the rows where both are there, and how many those are."""
    both = np.isfinite(scores) & np.isfinite(column) & (column > FAILED)
    return f"{spearmanr(scores[both], column[both]).statistic:.3f} ({both.sum()})" if both.sum() > 2 else "-"


def report(name: str, measured: list[Measurement], table: dict[str, Column]) -> None:
    """Print one row."""
    scores = np.array([m.metrics[name] if m.ok else np.nan for m in measured])
    failed = sum(not m.ok for m in measured)
    accuracy = rank_correlation(scores, table[ACCURACY])
    own = rank_correlation(scores, table[OWN_COLUMNS[name]])
    reference = rank_correlation(table[OWN_COLUMNS[name]], table[ACCURACY])
    milliseconds = 1000 * statistics.median(m.seconds for m in measured)
    print(f"| {name} | {accuracy} | {own} | {reference} | {failed} | {milliseconds:.1f} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="NAS-Bench-201 as .npz, with arch_str and zc_* columns")
    parser.add_argument("--data-root", type=Path, help="folder with CIFAR-10 in its binary layout")
    parser.add_argument("--cells", type=int, default=300, help="random cells (default 300)")
    parser.add_argument("--depth", type=int, default=5, help="N, cells a stage (default 5, the benchmark's)")
    parser.add_argument("--scores", nargs="+", default=list(TRAINING_FREE), choices=TRAINING_FREE)
    arguments = parser.parse_args()
    if arguments.table is None or arguments.data_root is None:
        print("training-free scores: give --table and --data-root to compare them with NAS-Bench-201")
        return
    torch.set_num_threads(1)
    with np.load(arguments.table) as archive:
        rows = np.random.default_rng(0).choice(len(archive["ops"]), arguments.cells, replace=False)
        table = {name: archive[name][rows] for name in (ACCURACY, *OWN_COLUMNS.values())}
        cells = archive["arch_str"].tolist()
    data = load_data("cifar-10", root=arguments.data_root).for_search()
    print(f"Spearman (number of cells), N = {arguments.depth}, C = 16, one thread\n")
    print(f"| score | with {ACCURACY} | with the table's own | the table's own with it | failed | ms a network |")
    print("|---|---|---|---|---|---|")
    for name in arguments.scores:
        report(name, score_rows(name, cells, rows.tolist(), data, arguments.depth), table)


if __name__ == "__main__":
    main()
