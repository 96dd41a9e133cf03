"""Controllers compared on a table of measured networks, over many seeds."""

from nas.benchmarking.comparing import bench_table
from nas.benchmarking.processes import OnRun
from nas.benchmarking.results import CHECKPOINTS, BenchResult, ControllerResult, mean_and_sd
from nas.benchmarking.rules import BenchRules

__all__ = ["CHECKPOINTS", "BenchResult", "BenchRules", "ControllerResult", "OnRun", "bench_table", "mean_and_sd"]
