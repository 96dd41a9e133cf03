"""How far the logits of exported networks are from our module's, for every space and published cell, in every format.

    python tests/benchmarks/bench_export.py [--networks 20] [--formats python,onnx,torch-export] [SPACE ...]

Random architectures of each space, at the small sizes of the tests, with random weights and statistics; `published` are
all published networks and cells, `own` a user's space of one function. Three random images each. Also runs ruff on
every Python file. Prints a Markdown table: the largest difference of two logits as such, and relative to the largest
logit of the network, of which the exporters allow 1e-5.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from nas.exporting.formats import FORMATS
from search_spaces.genotypes import CELLS, NETWORKS
from search_spaces.registry import SPACES

LIMIT = 1e-5  # beyond it, how far both are from double precision is told on stderr
RUFF = ("--isolated", "--line-length", "120")


def main() -> None:
    """Write, load, compare, and print a row a space."""
    parser = argparse.ArgumentParser()
    parser.add_argument("spaces", nargs="*", default=[*SPACES, "own", "published"])
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--formats", default=",".join(FORMATS))
    arguments = parser.parse_args()
    formats = arguments.formats.split(",")
    torch.set_num_threads(1)
    nets = small_networks()
    print("| space | networks |" + "".join(f" {name}, most | relative |" for name in formats) + " ruff finds |")
    print("|---|---|" + "---|---|" * len(formats) + "---|")
    for space in arguments.spaces:
        alone = sorted(CELLS.keys() - {network.cells for network in NETWORKS.values()})
        cases = [*NETWORKS, *alone] if space == "published" else [f"{space} {i}" for i in range(arguments.networks)]
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in formats}
        complaints = 0
        for case in cases:
            subject = nets.subject_of(case)
            with tempfile.TemporaryDirectory() as folder:
                for name in formats:
                    path = Path(folder) / f"network{FORMATS[name].ending}"
                    relative = FORMATS[name].write(subject, path)
                    assert relative is not None, "onnxruntime is missing"
                    largest = float(subject.logits(subject.sample()).abs().max())
                    found[name].append((relative * largest, relative))
                    if relative * largest > LIMIT:
                        print(f"{case}: {rounding(subject, Path(folder), name)}", file=sys.stderr, flush=True)
                if "python" in formats:
                    complaints += ruff_finds(Path(folder) / "network.py")
        most = [(max(a for a, _ in pairs), max(r for _, r in pairs)) for pairs in found.values()]
        cells = "".join(f" {absolute:.1e} | {relative:.1e} |" for absolute, relative in most)
        print(f"| {space} | {len(cases)} |{cells} {complaints if 'python' in formats else '-'} |", flush=True)


def rounding(subject: Any, folder: Path, name: str) -> str:
    """Say how far the network's own logits and those of its ONNX file are from those in double precision."""
    images = subject.sample()
    exact, ours = subject.exact_logits(images), subject.logits(images)
    text = f"{name}, logits to {float(ours.abs().max()):.1f}; from double precision: ours {gap(ours, exact)}"
    if name != "onnx":
        return text
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "network.onnx"), providers=["CPUExecutionProvider"])
    return f"{text}, onnx {gap(torch.from_numpy(session.run(None, {'images': images.numpy()})[0]), exact)}"


def gap(logits: torch.Tensor, exact: torch.Tensor) -> str:
    """Return the largest difference."""
    return f"{float((logits - exact).abs().max()):.1e}"


def small_networks() -> Any:
    """Return what the tests of exporting export."""
    path = Path(__file__).parents[1] / "nas" / "exporting" / "small_networks.py"
    spec = importlib.util.spec_from_file_location("small_networks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["small_networks"] = module
    spec.loader.exec_module(module)
    return module


def ruff_finds(path: Path) -> bool:
    """Return whether ruff has anything to say of a file."""
    commands = (("check", "--select", "E,F,W,I,UP,B"), ("format", "--check"))
    answers = [
        subprocess.run([sys.executable, "-m", "ruff", *c, *RUFF, str(path)], capture_output=True, check=False)
        for c in commands
    ]
    return any(answer.returncode for answer in answers)


if __name__ == "__main__":
    main()
