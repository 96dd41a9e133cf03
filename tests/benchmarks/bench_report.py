"""The page of a long search: how large it is, how long it takes to write, and to open in Chromium.

    python tests/benchmarks/bench_report.py [--trials 2000]

The searches are real ones but for the training: controllers, journal, screening and failures are the program's, and
results come from a hash of the network. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

from controllers import make_controller
from controllers.trial import Measurement, Trial
from nas.config import SearchConfig
from nas.executors.serial_executor import SerialExecutor
from nas.journal import Journal
from nas.reporting import write_run_report
from nas.run import load
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, SearchLoop
from nas.searching import versions
from search_spaces.registry import get_space

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom")
CASES = (("nasnet", "evolution"), ("nasnet", "random"), ("nasbench201", "local"))
OPENED = (
    '<script>addEventListener("load",()=>setTimeout(()=>{document.title="opened in "+performance.now()},0))</script>'
)


class Hashed:
    """Judges a network by the parity of its choices and some noise; every fortieth fails."""

    def evaluate(self, trial: Trial) -> Measurement:
        """Return a result that depends on the architecture only."""
        choices = trial.architecture.choices
        digest = zlib.crc32(repr(choices).encode())
        if digest % 40 == 0:
            return Measurement("diverged", seconds=1.2, error=f"loss became nan in step {digest % 977}")
        accuracy = 0.7 + 0.2 * float(np.mean([choice % 2 for choice in choices])) + (digest % 997) / 1e4
        metrics = {"val_accuracy": accuracy, "params": 4e4 + digest % 90_001, "macs": 1e6 + digest % 4_000_037}
        return Measurement("ok", metrics, seconds=2 + digest % 100 / 50)


def make_run(folder: Path, *, space: str, controller: str, trials: int) -> None:
    """Write the journal of a search of so many trials."""
    config = SearchConfig(space=space, controller=controller, trials=trials)
    images = {"train": 1155, "validation": 294}
    data = {"name": "digits", "input_shape": [1, 8, 8], "images": images}
    header = {"config": config.to_json(), "versions": versions(), "data": data, "time": time.time()}
    journal = Journal.create(folder, header)
    found = get_space(space)
    proposer = make_controller(controller, found, seed=config.seed)
    loop = SearchLoop(proposer, journal, Screen(found, Constraints(), lambda architecture: None))
    loop.run(SerialExecutor(Hashed()), Limits(trials))
    journal.close()


def time_opening(page: Path) -> tuple[float, float]:
    """Return the seconds from the start of loading to an idle page, and those of Chromium from start to end."""
    text = page.read_text(encoding="utf-8")
    timed = page.with_name("timed.html")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    timed.write_text(text.replace("</body>", f"{OPENED}</body>"), encoding="utf-8")
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={page.parent / 'profile'}", timed.as_uri()]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    whole = time.perf_counter() - start
    opened = re.search(r"opened in ([\d.]+)", done.stdout)
    assert opened is not None
    return float(opened[1]) / 1000, whole


def main() -> None:
    """Print a row a search."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    print("| search | trials | page, MB | SVG nodes | read, s | written, s | opened, s | Chromium in all, s |")
    print("|---|---|---|---|---|---|---|---|")
    for space, controller in CASES:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / f"{space}-{controller}"
            make_run(folder, space=space, controller=controller, trials=trials)
            start = time.perf_counter()
            run = load(folder)
            read = time.perf_counter() - start
            page = write_run_report(run)
            written = time.perf_counter() - start - read
            text = page.read_text(encoding="utf-8")
            nodes = sum(len(re.findall("<[a-z]", svg)) for svg in re.findall("<svg.*?</svg>", text, flags=re.DOTALL))
            opened = "- | -" if CHROMIUM is None else " | ".join(f"{value:.2f}" for value in time_opening(page))
            size = page.stat().st_size / 1e6
            name = f"{space}, {controller}"
            print(f"| {name} | {len(run.records)} | {size:.2f} | {nodes} | {read:.2f} | {written:.2f} | {opened} |")


if __name__ == "__main__":
    main()
