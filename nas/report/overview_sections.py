"""The page's first and last sections: the answer and what was asked; what was spent and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping

from controllers.trial import Objective, Record
from nas.report.analysis import Spent, best_record, epochs_of, metric_of, objective_value, spent
from nas.report.formatting import (
    REPORTED,
    format_count,
    format_duration,
    format_metric,
    format_number,
    label_in_sentence,
    metric_style,
    tested_images,
)
from nas.report.markup import code, definitions, section, text, trial_link
from nas.report.page_header import PageHeader, figure_of, page_header
from nas.report.summary import RunSummary

# final metrics that are told beside others, or elsewhere
NOTED = ("trial", "epochs", "test_correct", "test_images", "test_views")


def headline(summary: RunSummary) -> str:
    """Return the top of the page: the best network in numbers, where it lies, and what had been asked."""
    best, cost = best_record(summary), spent(summary)
    return page_header(
        PageHeader(
            "Architecture search",
            summary.name,
            summary.status,
            title=_title(summary, best),
            lead=_lead(summary, best, cost),
            answer=_answer(summary, best) if best else "",
            files=summary.files,
            asked=_asked(summary),
        )
    )


def _title(summary: RunSummary, best: Record | None) -> str:
    if best is None:
        return "No network has a result" + (" yet" if summary.status == "running" else "")
    # What was not searched by, such as test accuracy, is the honest answer; what the search saw is the next best.
    name, value = summary.objective.metric, metric_of(best, summary.objective.metric)
    if summary.answer in summary.final:
        name, value = summary.answer, summary.final[summary.answer]
    written, label = text(format_metric(name, value)), text(label_in_sentence(name))
    return f"The best network reaches {written} {label if metric_style(name).kind == 'share' else f'({label})'}"


def _lead(summary: RunSummary, best: Record | None, cost: Spent) -> str:
    """Return the sentences below the title: where the best comes from, among how many, and why the run ended."""
    found = f"Found in trial {trial_link(best.trial.number)}. " if best else ""
    asked = f" of {format_number(summary.settings.trials)}" if summary.settings.trials else ""
    parts = [f"{format_number(cost.trained)}{asked} networks evaluated"]
    if cost.continued:
        parts.append(f"{format_number(cost.continued)} times one of them trained further")
    if cost.reused:
        parts.append(f"{format_number(cost.reused)} answered with stored results")
    if cost.infeasible:
        parts.append(f"{format_number(cost.infeasible)} refused untrained")
    if cost.failed:
        parts.append(f"{format_number(cost.failed)} failed")
    so_far = " so far" if summary.status == "running" else ""
    ended = f" Ended: {text(summary.reason.rstrip('.'))}." if summary.reason else ""
    return f"{found}{', '.join(parts)}{so_far}.{ended}"


def _answer(summary: RunSummary, best: Record) -> str:
    """Return the figures of the best network: those of the search, and those of the network trained again."""
    names = _figure_names(summary)
    searched = _search_note(summary, best)
    entries = {}
    for name in names:
        label, found, final = metric_style(name).label, metric_of(best, name), summary.final.get(name)
        if found is not None:
            note = searched if metric_style(name).kind == "share" else ""
            entries[label] = figure_of(format_metric(name, found), note=note)
        if final is not None and final != found:
            title, note = label if found is None else f"{label}, retrained", _retrained_note(name, summary.final)
            entries[title] = figure_of(format_metric(name, final), note=note)
    if summary.objective.target is not None:
        note = f"weighed by {label_in_sentence(summary.objective.cost)}"
        entries["Objective"] = figure_of(f"{objective_value(best, summary.objective):.4g}", note=note)
    others = {
        metric_style(name).label: text(format_metric(name, value))
        for name, value in summary.final.items()
        if name not in (*names, *NOTED)
    }
    return definitions(entries, style="answer") + definitions(others, style="facts")


def _figure_names(summary: RunSummary) -> list[str]:
    """The metrics that stand at the top of the page: the objective's own, those of every report, every accuracy."""
    objective = summary.objective
    accuracies = [name for name in summary.final if metric_style(name).kind == "share"]
    own = [] if objective.metric in REPORTED else [objective.metric]
    cost = [] if objective.target is None else [objective.cost]
    return list(dict.fromkeys((*own, summary.answer, *REPORTED[:2], *accuracies, *summary.costs, *REPORTED[2:], *cost)))


def _search_note(summary: RunSummary, best: Record) -> str:
    epochs = epochs_of(best, default=summary.epochs)
    return "in the search" + ("" if epochs is None else f", {_epochs(epochs)}")


def _retrained_note(name: str, final: Mapping[str, float]) -> str:
    """Say what a metric of the final training rests on: epochs, and images if it is a share of test images."""
    trained = f"after {_epochs(final['epochs'])}" if "epochs" in final else "after the final training"
    if name != "test_accuracy" or not final.keys() >= {"test_correct", "test_images"}:
        return trained
    return f"{tested_images(final)}, {trained}"


def _epochs(count: float) -> str:
    return f"{count:g} epoch{'' if count == 1 else 's'}"


def _asked(summary: RunSummary) -> dict[str, str]:
    """Return what was asked, as terms and values."""
    settings = summary.settings
    numbers = {"Trials": settings.trials, "Workers": settings.workers, "Seed": settings.seed}
    pairs: dict[str, object] = {
        "Space": settings.space,
        "Controller": settings.controller,
        "Data set": settings.data,
        "Recipe": settings.recipe,
        "Objective": "; ".join(map(_objective_words, summary.objectives)),
        "Executor": settings.executor,
        **{name: "" if number is None else number for name, number in numbers.items()},
        **settings.others,
    }
    return {term.replace("_", " "): text(value) for term, value in pairs.items()}


def _objective_words(objective: Objective) -> str:
    words = f"{objective.direction} {objective.metric}"
    if objective.target is None:
        return words
    target = format_metric(objective.cost, objective.target)
    return f"{words} x ({objective.cost} / {target})^{objective.weight:g}"


def spent_section(summary: RunSummary) -> str:
    """Return what the run cost."""
    if not summary.records:
        return ""
    cost = spent(summary)
    epochs = format_number(cost.network_epochs) if cost.trained and cost.network_epochs is not None else ""
    pairs = {
        "Wall time": "" if summary.seconds is None else format_duration(summary.seconds),
        "Simulated time": "" if summary.simulated_s is None else format_duration(summary.simulated_s),
        "Worker time": format_duration(cost.worker_s),
        "Networks evaluated" if summary.epochs is None else "Networks trained": format_number(cost.trained),
        "Trained further": format_number(cost.continued) if cost.continued else "",
        "Network-epochs": epochs,
        "MACs trained": macs_words(cost.trained_macs),
        "Reused results": format_number(cost.reused),
        "Infeasible, not trained": format_number(cost.infeasible),
        "Failed": format_number(cost.failed),
    }
    return section("What was spent", definitions(pairs, style="facts"), anchor="spent")


def macs_words(trained: float | None) -> str:
    """Return the MACs of trainings, as HTML; nothing for None."""
    return "" if trained is None else figure_of(format_count(trained, kind="macs"), note="forward passes")


def repeat_section(summary: RunSummary) -> str:
    """Return the command lines and the versions that the results depend on."""
    return repeat(summary.commands, summary.versions)


def repeat(commands: Mapping[str, str], versions: Mapping[str, str]) -> str:
    """Return the section of command lines, by what they do, and versions, by package."""
    commands = {what: f"<pre>{text(line)}</pre>" for what, line in commands.items()}
    versions = {name: code(version) for name, version in versions.items()}
    body = definitions(commands, style="commands")
    if versions:
        body += f'<div class="asked">{definitions(versions, style="facts")}</div>'
    return section("Repeat it", body, anchor="repeat")
