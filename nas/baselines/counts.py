"""Parameters and MACs of every baseline as published, counted beforehand: counting all takes half a minute.

`python -m nas.baselines.counts` writes the file anew; a test counts again.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from search_spaces.architecture import Complexity

FILE = Path(__file__).with_name("counts.json")


@cache
def known_counts() -> dict[str, Complexity]:
    """Return the counts by name."""
    return {name: Complexity(*counts) for name, counts in json.loads(FILE.read_text()).items()}


def count_all() -> dict[str, Complexity]:
    """Count every baseline, on the images that it was made for."""
    from nas.baselines.blueprints import baseline_blueprint, baseline_complexity
    from nas.baselines.registry import names

    return {name: baseline_complexity(baseline_blueprint(name)) for name in names()}


def main() -> None:
    """Write the file."""
    rows = [f'  "{name}": [{cost.params}, {cost.macs}]' for name, cost in count_all().items()]
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
