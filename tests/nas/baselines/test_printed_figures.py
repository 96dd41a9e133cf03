"""What papers print against what is counted: the same when rounded alike, or explained in the network's note.

`tests/golden/printed_figures.json` holds, by name, parameters and MACs as papers and authors print them.
"""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from nas.baselines import find_baseline
from nas.baselines.counts import known_counts

PRINTED = json.loads((Path(__file__).parents[2] / "golden" / "printed_figures.json").read_text())
FIGURES = [(name, kind, text) for name, kinds in PRINTED.items() for kind in kinds for text in kinds[kind]]
UNITS = {"M": 10**6, "G": 10**9}


def rounded_alike(count: int, printed: str) -> str:
    """A count in the digits and the unit of a printed figure, such as 1.5 G."""
    number, *unit = printed.split()
    scaled = Decimal(count) / (UNITS[unit[0]] if unit else 1)
    return " ".join([str(scaled.quantize(Decimal(number), ROUND_HALF_UP)), *unit])


@pytest.mark.parametrize(("name", "kind", "printed"), FIGURES)
def test_what_is_printed_is_what_is_counted_or_explained(name: str, kind: str, printed: str) -> None:
    count = getattr(known_counts()[name], kind)
    if rounded_alike(count, printed) != printed:
        assert printed in find_baseline(name).note


def test_notes_are_a_line_each() -> None:
    for name in known_counts():
        assert len(find_baseline(name).note.splitlines()) <= 1


def test_the_note_stands_under_the_table(cli: Any) -> None:
    last = cli("profile", "bn-inception", "--no-measure").out.splitlines()[-1]
    assert "The paper prints 13.6 M parameters, which its own table does not give" in last
