"""Numbers as people read them."""

from __future__ import annotations

import pytest

from nas.report.formatting import (
    format_count,
    format_duration,
    format_metric,
    format_number,
    label_in_sentence,
    metric_column,
    metric_style,
    printable,
)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("val_accuracy", 0.97216, "97.22%"),
        ("test_accuracy", 1.0, "100.00%"),
        ("params", 1_234_567, "1.23M"),
        ("params", 98_765, "98.8K"),
        ("params", 999_999, "1.00M"),
        ("params", 650, "0.650K"),
        ("macs", 18_300_000, "18.3M"),
        ("macs", 564_000_000, "564M"),
        ("macs", 1_340_000_000, "1.34G"),
        ("macs", 40_000, "0.0400M"),
        ("train_s", 61.0, "1 min 1 s"),
        ("latency_ms", 3.14159, "3.142 ms"),
        ("val_loss", 0.123456, "0.1235"),
        ("val_loss", None, "-"),
    ],
)
def test_metrics_carry_their_unit(name: str, value: float | None, text: str) -> None:
    assert format_metric(name, value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0.0 s"),
        (0.25, "250 ms"),
        (12.34, "12.3 s"),
        (59.99, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (3725, "1 h 2 min"),
        (360_000, "100 h 0 min"),
    ],
)
def test_durations_have_two_units(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


def test_thousands_are_set_apart() -> None:
    assert format_number(13944) == "13,944"
    assert format_number(None) == "-"


def test_a_column_has_one_unit_and_one_number_of_decimals() -> None:
    column = metric_column("params", [950_000, 1_230_000, 12_000_000])
    assert column.header == "Params (M)"
    assert [column.cell(v) for v in (950_000, 12_000_000)] == ["0.950", "12.000"]
    assert column.cell(None) == ""


def test_accuracy_columns_are_in_percent() -> None:
    column = metric_column("val_accuracy", [0.5, 0.97216])
    assert (column.header, column.cell(0.97216)) == ("Validation accuracy (%)", "97.22")


def test_a_column_without_values_has_a_header() -> None:
    assert metric_column("macs", []).header == "MACs (M)"


def test_unknown_metrics_are_named_after_themselves() -> None:
    assert metric_style("train_loss").label == "Train loss"
    assert metric_style("wait_s").kind == "seconds"
    assert metric_style("s").label == "S"
    assert metric_style("").label == "Unnamed"


def test_abbreviations_keep_their_capitals_inside_sentences() -> None:
    assert label_in_sentence("macs") == "MACs"
    assert label_in_sentence("val_accuracy") == "validation accuracy"


def test_macs_are_never_counted_in_thousands() -> None:
    assert format_count(900, kind="macs").endswith("M")


def test_control_characters_are_replaced() -> None:
    assert printable("a\x00b\x1b[31mc\ud800\n\té") == "a\ufffdb\ufffd[31mc\ufffd\n\té"
