"""The commands: each parses its flags, calls the Python function of the same job, and prints the answer.

What needs torch is imported inside the commands, so that `--help` answers at once.
"""

from nas.commands import (
    bench,
    bench_engine,
    compare,
    dashboard,
    export,
    listing,
    look,
    profile,
    run_search,
    scale,
    test,
    train,
)

__all__ = [
    "bench",
    "bench_engine",
    "compare",
    "dashboard",
    "export",
    "listing",
    "look",
    "profile",
    "run_search",
    "scale",
    "test",
    "train",
]
