"""The value that a page is made from."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controllers.trial import Record
from nas.errors import UnknownNameError
from nas.report.summary import RunSummary


def test_of_two_records_of_a_trial_the_later_counts(ok: Callable[..., Record]) -> None:
    summary = RunSummary("run", records=[ok(0, 0.1), ok(1, 0.2), ok(0, 0.3)])
    assert [record.measurement.metrics["val_accuracy"] for record in summary.records] == [0.3, 0.2]


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="run status"):
        RunSummary("run", status="paused")  # type: ignore[arg-type]
