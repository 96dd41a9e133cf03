"""What `torch.compile` costs and gains a small network: seconds until it has compiled, and a step before and after.

Each network is compiled in a process of its own with an empty cache, since a search trains every network once; after
`--limit` seconds it is stopped, and that is the figure. Forward and backward of the file of plain PyTorch that
`nas export` writes, on one thread of a CPU, or on a GPU. Prints Markdown.

    python tests/benchmarks/bench_compile.py --networks 2 --limit 900
    python tests/benchmarks/bench_compile.py --size cifar --device cuda
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 15


def main() -> None:
    """Measure each network in a process of its own; print a row for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", type=int, default=1)
    parser.add_argument("--size", choices=["tiny", "cifar"], default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit", type=float, default=240.0, help="seconds after which a compilation is stopped")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        measure(given.one, size=given.size, device=given.device)
        return
    print("| network | parameters | ms a step | s to compile | ms a step, compiled | steps until it pays |")
    print("|---|---|---|---|---|---|")
    for number in range(given.networks):
        print(row(number, given), flush=True)


def row(number: int, given: argparse.Namespace) -> str:
    """Return a network's figures, as far as they are known at the limit."""
    command = [sys.executable, __file__, "--one", str(number), "--size", given.size, "--device", given.device]
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
        try:
            done = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, text=True, timeout=given.limit, check=True
            )
            out = done.stdout
        except subprocess.TimeoutExpired as stopped:
            out = (stopped.stdout or b"").decode()
    found: dict[str, float] = {}
    for line in out.splitlines():
        found |= json.loads(line)
    eager, compiled = found.get("eager_ms"), found.get("compiled_ms")
    if eager is None:
        return f"| {number} | | | not begun in {given.limit:.0f} | | |"
    if compiled is None:
        return f"| {number} | {found['params']:,.0f} | {eager:.1f} | more than {given.limit:.0f} | | |"
    pays = f"{1000 * found['compile_s'] / (eager - compiled):,.0f}" if compiled < eager else "never"
    seconds = found["compile_s"]
    return f"| {number} | {found['params']:,.0f} | {eager:.1f} | {seconds:.0f} | {compiled:.1f} | {pays} |"


def measure(number: int, *, size: str, device: str) -> None:
    """Print what is known as soon as it is: the step as it comes, then the compiled one."""
    import torch
    from torch.nn import functional

    from nas.benchmarking.engine.plain_loop import plain_source
    from nas.benchmarking.engine.stream import STREAMS
    from nas.evaluators.training_evaluator import build_seeded

    torch.set_num_threads(1)
    stream = STREAMS[size]
    data, trial = stream.load(), stream.trials(number + 1)[number]
    blueprint = stream.blueprint(trial, data)
    built = build_seeded(stream.search_space, blueprint, data=data, recipe=stream.recipe, seed=0)
    namespace: dict[str, Any] = {"__name__": "network"}
    exec(compile(plain_source(built, data), "network.py", "exec"), namespace)  # written by this process a moment ago
    network = namespace["build"]().to(device).train()
    images = data.normalise(data.train.images[: stream.recipe.batch_size]).to(device)
    labels = data.train.labels[: stream.recipe.batch_size].to(device)

    def step(function: Callable[[torch.Tensor], torch.Tensor]) -> float:
        begun = time.perf_counter()
        loss = functional.cross_entropy(function(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        loss.item()
        return time.perf_counter() - begun

    def median_ms(function: Callable[[torch.Tensor], torch.Tensor]) -> float:
        return 1000 * statistics.median(step(function) for _ in range(ROUNDS))

    step(network)
    params = sum(parameter.numel() for parameter in network.parameters())
    print(json.dumps({"params": params, "eager_ms": median_ms(network)}), flush=True)
    compiled = torch.compile(network)
    begun = step(compiled)
    print(json.dumps({"compile_s": begun, "compiled_ms": median_ms(compiled)}), flush=True)


if __name__ == "__main__":
    main()
