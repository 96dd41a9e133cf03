"""The counts that are kept so that listing the baselines takes no time."""

from __future__ import annotations

import pytest

from nas.baselines import baselines
from nas.baselines.blueprints import baseline_blueprint, baseline_complexity
from nas.baselines.counts import known_counts


def test_every_baseline_is_in_the_file_and_nothing_else() -> None:
    assert list(known_counts()) == list(baselines())


@pytest.mark.parametrize("name", baselines())
def test_what_is_kept_is_what_is_counted(name: str) -> None:
    """If not: `python -m nas.baselines.counts` counts anew; a published network must not have changed."""
    assert known_counts()[name] == baseline_complexity(baseline_blueprint(name))
