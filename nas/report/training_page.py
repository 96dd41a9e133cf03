"""The page of one network's training: what it reached, its curves, every epoch, what it cost, how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nas.report.curve_chart import draw_curves, mark_point
from nas.report.figure_sections import cells_html
from nas.report.figures import figure_svg
from nas.report.formatting import (
    METRICS,
    format_duration,
    format_metric,
    format_number,
    metric_column,
    metric_style,
    tested_images,
)
from nas.report.frame import frame
from nas.report.markup import definitions, figure, header_cell, section, table, text
from nas.report.overview_sections import macs_words, repeat
from nas.report.page_header import PageHeader, figure_of, page_header
from nas.report.summary import RunStatus
from search_spaces.graph import Cell

NOTED = (
    "test_accuracy",
    "val_accuracy",
    "params",
    "macs",
    "test_correct",
    "test_images",
    "test_views",
)  # told in the answer


@dataclass(frozen=True, slots=True)
class EpochLine:
    """An epoch of a training.

    Attributes:
        number: counts from 1.
        train_loss: mean of the epoch.
        val_accuracy: in [0, 1]; None where it was not measured.
        val_loss: None where it was not measured, or became infinite.
        rate: learning rate in the middle of the epoch.
        seconds: its own.
    """

    number: int
    train_loss: float
    val_accuracy: float | None
    val_loss: float | None
    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """A training, as its page shows it.

    Attributes:
        name: the folder's.
        network: what is trained, in words.
        data: on what, in words.
        status: whether it goes on, came to its end, or was stopped before.
        num_epochs: of the recipe.
        epochs: those that are done.
        metrics: of the trained network, ``test_accuracy`` among them; empty while it is not finished.
        settings: what was asked, by the name it is shown under.
        cells: of a cell network, by role.
        files: what it left, path -> what it is.
        commands: command lines by what they do.
        versions: by package.
        train_images: images an epoch; None if unknown.
        notes: what else is to be known, in lines.
    """

    name: str
    network: str
    data: str
    status: RunStatus
    num_epochs: int
    epochs: Sequence[EpochLine] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    cells: Mapping[str, Cell] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    train_images: int | None = None
    notes: Sequence[str] = ()

    @property
    def best(self) -> EpochLine | None:
        """The epoch of the highest validation accuracy, the first of equals; None where none was measured."""
        measured = [epoch for epoch in self.epochs if epoch.val_accuracy is not None]
        return max(measured, key=lambda epoch: (epoch.val_accuracy or 0.0, -epoch.number), default=None)


def render_training(summary: TrainingSummary) -> str:
    """Return the page as text; the same summary gives the same page."""
    sections = (curves_section, network_section, epochs_section, spent_section, _repeat_section)
    body = _header(summary) + "".join(one(summary) for one in sections)
    return frame(body, title=f"{summary.name} - training")


def _header(summary: TrainingSummary) -> str:
    notes = "".join(f" {text(note.rstrip('.'))}." for note in summary.notes)
    done = f"{len(summary.epochs)} of {summary.num_epochs} epochs on {summary.data}"
    return page_header(
        PageHeader(
            "Training",
            summary.name,
            summary.status,
            title=_title(summary),
            lead=f"{text(done)}.{notes}",
            answer=_answer(summary),
            files=summary.files,
            asked={term: text(value) for term, value in summary.settings.items()},
        )
    )


def _title(summary: TrainingSummary) -> str:
    network, best = text(summary.network), summary.best
    if "test_accuracy" in summary.metrics:
        return f"{network} reaches {format_metric('test_accuracy', summary.metrics['test_accuracy'])} test accuracy"
    if best is not None:
        return f"{network} is at {format_metric('val_accuracy', best.val_accuracy)} validation accuracy"
    return f"{network}: no epoch is finished" + (" yet" if summary.status == "running" else "")


def _answer(summary: TrainingSummary) -> str:
    metrics, best = summary.metrics, summary.best
    notes = {}
    if metrics.keys() >= {"test_correct", "test_images"}:
        notes["test_accuracy"] = tested_images(metrics)
    entries = {
        metric_style(name).label: figure_of(format_metric(name, metrics[name]), note=notes.get(name, ""))
        for name in NOTED[:4]
        if name in metrics
    }
    if best is not None:
        entries["Best in an epoch"] = figure_of(
            format_metric("val_accuracy", best.val_accuracy), note=f"validation, epoch {best.number}"
        )
    others = {metric_style(n).label: text(format_metric(n, v)) for n, v in metrics.items() if n not in NOTED}
    return definitions(entries, style="answer") + definitions(others, style="facts")


def curves_section(summary: TrainingSummary) -> str:
    """Return losses, validation accuracy and the learning rate over epochs."""
    epochs, drawings = summary.epochs, []
    losses: dict[str, list[float | None]] = {
        "training": [epoch.train_loss for epoch in epochs],
        "validation": [epoch.val_loss for epoch in epochs],
    }
    accuracies = [None if e.val_accuracy is None else 100 * e.val_accuracy for e in epochs]
    label = f"of {len(epochs)} epochs."
    chart = draw_curves(losses, label=f"Training and validation loss {label}", y_label="Loss")
    if chart is not None:
        keys = '<span class="key">training</span>'
        keys += '<span class="key second">validation</span>' if any(losses["validation"]) else ""
        drawings.append(figure(figure_svg(chart, name="loss"), caption=f'<span class="keys">{keys}</span>'))
    chart = draw_curves(
        {"validation": accuracies},
        label=f"Validation accuracy {label}",
        y_label="Validation accuracy (%)",
        ceiling=100,
    )
    if chart is not None and summary.best is not None and summary.best.val_accuracy is not None:
        best = summary.best
        value = format_metric("val_accuracy", best.val_accuracy)
        mark_point(chart, x=best.number, y=100 * (best.val_accuracy or 0.0), words=f"epoch {best.number}: {value}")
        drawings.append(figure(figure_svg(chart, name="accuracy")))
    rates = {"rate": [e.rate for e in epochs]}
    chart = draw_curves(rates, label=f"Learning rate {label}", y_label="Learning rate, middle of the epoch")
    if chart is not None:
        drawings.append(figure(figure_svg(chart, name="rate")))
    body = f'<div class="pair">{"".join(drawings)}</div>' if drawings else ""
    return section("Learning curves", body, anchor="curves")


def network_section(summary: TrainingSummary) -> str:
    """Return the cells of a cell network, drawn; nothing for others."""
    return section("Network", cells_html(summary.cells, name="cell") if summary.cells else "", anchor="network")


def epochs_section(summary: TrainingSummary) -> str:
    """Return the table of all epochs."""
    if not summary.epochs:
        return ""
    best = summary.best
    column = metric_column("val_accuracy", [e.val_accuracy for e in summary.epochs if e.val_accuracy is not None])
    headers = [
        header_cell("Epoch", numeric=True),
        header_cell("Training loss", numeric=True),
        header_cell(METRICS["val_loss"].label, numeric=True),
        header_cell(column.header, numeric=True, descending=True),
        header_cell("Learning rate", numeric=True, descending=True),
        header_cell("Time (s)", numeric=True, descending=True),
    ]
    rows = []
    for epoch in summary.epochs:
        loss = "" if epoch.val_loss is None else f"{epoch.val_loss:.4f}"
        cells = [f"{epoch.train_loss:.4f}", loss, column.cell(epoch.val_accuracy)]
        cells += [f"{epoch.rate:.4g}", f"{epoch.seconds:.1f}"]
        mark = ' class="best"' if epoch == best else ""
        written = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        rows.append(f'<tr{mark}><th scope="row" class="n">{epoch.number}</th>{written}</tr>')
    return section("All epochs", table(headers, rows, label="All epochs", sortable=True, style="tall"), anchor="epochs")


def spent_section(summary: TrainingSummary) -> str:
    """Return what the training cost so far."""
    if not summary.epochs:
        return ""
    seconds = sum(epoch.seconds for epoch in summary.epochs)
    macs, images = summary.metrics.get("macs"), summary.train_images
    trained = None if macs is None or images is None else macs * images * len(summary.epochs)
    rate = f"{images * len(summary.epochs) / seconds:,.0f} images a second" if images and seconds else ""
    pairs = {
        "Time of all epochs": figure_of(format_duration(seconds), note=rate),
        "Epochs": format_number(len(summary.epochs)),
        "Training images": "" if images is None else format_number(images),
        "MACs trained": macs_words(trained),
    }
    return section("What was spent", definitions(pairs, style="facts"), anchor="spent")


def _repeat_section(summary: TrainingSummary) -> str:
    return repeat(summary.commands, summary.versions)
