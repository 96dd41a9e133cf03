"""Numbers as people read them: percent with two decimals, K, M and G, minutes and hours; and metrics' names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["share", "params", "macs", "seconds", "milliseconds", "number"]
MISSING = "-"
PERCENT = 0.01
# unit -> its size, smallest first; a count is given in the largest unit that leaves at least 1
COUNT_UNITS: dict[str, dict[str, float]] = {
    "params": {"K": 1e3, "M": 1e6},
    "macs": {"M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18},
}
STATUS_WORDS = {"out_of_memory": "out of memory"}  # all other statuses are words already


@dataclass(frozen=True, slots=True)
class MetricStyle:
    """How a metric is called and written.

    Attributes:
        label: as it stands at the head of a sentence or column, without unit.
        kind: what its numbers are.
    """

    label: str
    kind: Kind


METRICS: dict[str, MetricStyle] = {
    "val_accuracy": MetricStyle("Validation accuracy", "share"),
    "test_accuracy": MetricStyle("Test accuracy", "share"),
    "params": MetricStyle("Params", "params"),
    "macs": MetricStyle("MACs", "macs"),
    "val_loss": MetricStyle("Validation loss", "number"),
    "train_s": MetricStyle("Training time", "seconds"),
    "latency_ms": MetricStyle("Latency", "milliseconds"),
    "simulated_s": MetricStyle("Finished", "seconds"),
}
REPORTED = ("val_accuracy", "test_accuracy", "params", "macs")  # what every report shows, as far as it was measured
_UNPRINTABLE = ("Cc", "Cs", "Co", "Cn")  # Unicode categories
_SUFFIXES: dict[str, Kind] = {"accuracy": "share", "error_rate": "share", "_ms": "milliseconds", "_s": "seconds"}


def printable(text: str) -> str:
    """Return text without the characters that XML forbids and fonts lack: control, unassigned, half of a pair."""
    return "".join(c if unicodedata.category(c) not in _UNPRINTABLE or c in "\n\t" else "\ufffd" for c in text)


def metric_style(name: str) -> MetricStyle:
    """Return a metric's style; that of an unknown one is read off its name, which ends in its unit."""
    if name in METRICS:
        return METRICS[name]
    suffix, kind = next(((s, k) for s, k in _SUFFIXES.items() if name.endswith(s)), ("", "number"))
    words = (
        (name.removesuffix(suffix) if suffix.startswith("_") else name).replace("_", " ").strip() or name or "unnamed"
    )
    return MetricStyle(words[0].upper() + words[1:], kind)


VIEWS = {2: "mean of both mirror images", 10: "mean of ten crops"}  # by the number of views of an image


def tested_images(metrics: Mapping[str, float]) -> str:
    """Return how many test images were classified correctly, and from what if not from the image alone.

    Args:
        metrics: of a trained network, ``test_correct`` and ``test_images`` among them.
    """
    views = VIEWS.get(int(metrics.get("test_views", 1)), "")
    counted = f"{metrics['test_correct']:.0f} of {metrics['test_images']:.0f} images"
    return f"{counted}, {views}" if views else counted


def label_in_sentence(name: str) -> str:
    """Return a metric's label as it stands inside a sentence: small, unless it is an abbreviation."""
    label = metric_style(name).label
    return label[0].lower() + label[1:] if label[1:2].islower() else label


def format_metric(name: str, value: float | None) -> str:
    """Return a metric's value with its unit; a dash for None."""
    if value is None:
        return MISSING
    kind = metric_style(name).kind
    if kind == "share":
        return f"{value / PERCENT:.2f}%"
    if kind in COUNT_UNITS:
        return format_count(value, kind=kind)
    if kind == "seconds":
        return format_duration(value)
    return f"{value:.4g} ms" if kind == "milliseconds" else f"{value:.4g}"


def format_count(value: float, *, kind: str) -> str:
    """Return params in K or M, MACs in M or G, with three digits: ``1.23M``."""
    unit, size = _unit(value, kind=kind)
    return f"{value / size:.{_decimals(value / size)}f}{unit}"


def format_duration(seconds: float | None) -> str:
    """Return a duration in its two largest units; a dash for None."""
    if seconds is None:
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds >= 1 or not seconds else f"{1000 * seconds:.0f} ms"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {whole % 60} s"


def format_number(value: float | None) -> str:
    """Return a whole number with thousands apart; a dash for None."""
    return MISSING if value is None else f"{value:,.0f}"


@dataclass(frozen=True, slots=True)
class Column:
    """A metric as a table's column: one unit and one number of decimals for all rows, so that digits align.

    Attributes:
        header: the metric's name with its unit.
        scale: what values are divided by.
        decimals: digits after the point.
    """

    header: str
    scale: float
    decimals: int

    def cell(self, value: float | None) -> str:
        """Return a value without its unit; empty for None."""
        return "" if value is None else f"{value / self.scale:.{self.decimals}f}"


def metric_column(name: str, values: Iterable[float]) -> Column:
    """Return the column that suits a metric's values: the unit of the middle one, three digits of the smallest."""
    ordered = sorted(values)
    style = metric_style(name)
    middle = ordered[len(ordered) // 2] if ordered else 1.0
    if style.kind == "share":
        return Column(f"{style.label} (%)", PERCENT, 2)
    unit, size = _unit(middle, kind=style.kind)
    smallest = min((abs(value) for value in ordered if value), default=1.0)
    header = f"{style.label} ({unit})" if unit else style.label
    return Column(
        header, size, max(1, _decimals(smallest / size)) if unit in ("s", "ms") else _decimals(smallest / size)
    )


def _unit(value: float, *, kind: str) -> tuple[str, float]:
    if kind not in COUNT_UNITS:
        return {"seconds": "s", "milliseconds": "ms"}.get(kind, ""), 1.0
    units = COUNT_UNITS[kind]
    fitting = [(unit, size) for unit, size in units.items() if value >= 0.9995 * size]
    return fitting[-1] if fitting else next(iter(units.items()))


def _decimals(value: float) -> int:
    """Digits after the point that leave three significant ones, at most four."""
    magnitude = abs(value)
    return next((i for i in range(4) if magnitude >= 0.9995 * 10 ** (2 - i)), 4)


def status_words(status: str) -> str:
    """Return a status as words."""
    return STATUS_WORDS.get(status, status)
