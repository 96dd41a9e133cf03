"""The flags of `nas search` and `nas resume`, and how those that say something together become settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from nas.cli import parse_count, parse_settings
from nas.errors import InvalidInputError

if TYPE_CHECKING:
    from controllers.trial import Objective
    from nas.config import SearchConfig

# Typer reads these at run time; it takes Optional, not X | None, inside aliases on Python 3.11.
Text = Optional[str]  # noqa: UP045
Whole = Optional[int]  # noqa: UP045
Number = Optional[float]  # noqa: UP045
Texts = Optional[list[str]]  # noqa: UP045
Folder = Optional[Path]  # noqa: UP045


def parse_amount(text: str) -> float:
    """Return the number in ``0.35``, ``1.5M`` or ``200k``; larger than 0."""
    factors = {"k": 1e3, "m": 1e6, "g": 1e9}
    factor = factors.get(text[-1:].lower(), 1.0)
    try:
        amount = float(text if factor == 1.0 else text[:-1]) * factor
    except ValueError:
        raise typer.BadParameter(f"an amount is written like 0.35, 1.5M or 200k, got {text!r}.") from None
    return amount


def parse_bytes(text: str) -> int:
    """Return the bytes in ``2GB``, ``512MB`` or ``1.5GiB``; a bare number is bytes."""
    found = re.fullmatch(r"([0-9.]+)\s*(?:([kmgt])(i?))?b?", text.strip().lower())
    try:
        number, unit, binary = found.groups() if found else ("", None, "")
        size = float(number) * (1024 if binary else 1000) ** (" kmgt".index(unit) if unit else 0)
    except ValueError:
        raise typer.BadParameter(f"an amount of memory is written like 2GB or 512MB, got {text!r}.") from None
    return int(size)


def option(help: str, *, metavar: str | None = None, name: str | None = None) -> Any:
    """Return a flag that nobody has to give."""
    return typer.Option(*([name] if name else []), help=help, metavar=metavar)


def count(help: str) -> Any:
    """Return a flag that takes a count like 1.5M."""
    return typer.Option(parser=parse_count, metavar="COUNT", help=help)


def amount(help: str) -> Any:
    """Return a flag that takes a number like 0.35 or 1.5M."""
    return typer.Option(parser=parse_amount, metavar="AMOUNT", help=help)


Trials = Annotated[
    Whole, option("Networks to evaluate; the best of them go on where trainings are halved. [default: 24]")
]
ExecutorFlag = Annotated[
    Text,
    option("Where networks are evaluated: serial, processes, ray, or simulated with a table. [default: serial]"),
]
Workers = Annotated[
    Whole,
    option("Workers. [default: one per processor; as many processes as pay on a GPU, by trying; 1 simulated]"),
]
Gpus = Annotated[Number, option("GPUs of each worker; 0.25 puts four on one card. [default: 0]")]
Address = Annotated[Text, option("A running Ray cluster: auto, or ray://host:port.")]
Device = Annotated[Text, option("Torch device: cpu, cuda, cuda:1. [default: cpu]")]
Seconds = Annotated[Number, option("Start nothing new after so many seconds, simulated ones if time is.")]
Epochs = Annotated[Whole, option("Start nothing new after so many training epochs of all networks together.")]
Failures = Annotated[Whole, option("End the search after so many failed networks in a row. [default: 20]")]
TrialSeconds = Annotated[Number, option("Stop a network after so many seconds, and count it as failed.")]
TrialMemory = Annotated[
    Whole,
    typer.Option(
        "--trial-memory",
        parser=parse_bytes,
        metavar="SIZE",
        help="Stop a network whose worker takes more memory, such as 2GB; do not begin one that surely will.",
    ),
]
Pin = Annotated[bool, typer.Option("--pin", help="Give each Ray worker processors of its own.")]
Root = Annotated[Folder, option("Folder that holds the data set's files.")]
TableFile = Annotated[Folder, option("Look results up in a table of measured networks, .npz; nothing is trained.")]
MaxMemory = Annotated[
    Whole,
    typer.Option(
        "--max-memory",
        parser=parse_bytes,
        metavar="SIZE",
        help="Most memory of a training step, such as 2GB, foretold: beyond it nothing is trained.",
    ),
]
BOUNDS = ("min_params", "max_params", "min_macs", "max_macs", "max_memory")
PATHS = ("data_root", "table")


def changed_settings(base: SearchConfig, flags: dict[str, Any]) -> SearchConfig:
    """Return settings with the flags that were given in the place of theirs.

    Args:
        base: settings of a file, or the defaults.
        flags: by name; None, False or empty for one that was not given.

    Raises:
        InvalidInputError: flags that contradict each other, or a value that cannot be.
    """
    from dataclasses import replace

    from nas.config_rules import IMAGE_SETTINGS, refuse_with_table

    given = given_flags(flags)
    changes = {name: value for name, value in given.items() if name in base.__dataclass_fields__}
    changes |= {name: str(given[name].absolute()) for name in PATHS if name in given}
    changes |= objective_changes(base, given)
    recipe = parse_settings("--recipe-set", given.get("recipe_set", []))
    recipe |= {"epochs": given["epochs"]} if "epochs" in given else {}
    changes |= {"recipe_changes": recipe} if recipe else {}
    if "part" in given:
        changes["parts"] = parse_settings("--part", given["part"])
    if "controller_set" in given:
        changes["controller_options"] = parse_settings("--controller-set", given["controller_set"])
    if "fidelity" in given:
        changes["fidelities"] = parse_settings("--fidelity", given["fidelity"])
    if "seconds_metric" in given:
        changes["seconds_metric"] = _number_or_text(given["seconds_metric"])
    if bounds := {name: given[name] for name in BOUNDS if name in given}:
        changes["constraints"] = replace(base.constraints, **bounds)
    if "table" in changes or base.table is not None:  # said even of a flag that repeats a default
        refuse_with_table([name for name in IMAGE_SETTINGS if name in changes])
    return base.with_changes(changes)


def given_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags that were given; the address of a cluster says that Ray is meant.

    Args:
        flags: by name; None, False or empty for one that was not given.
    """
    # a flag that may be repeated and was not given is an empty list, or an empty tuple, as Typer's versions have it
    given = {
        name: value
        for name, value in flags.items()
        if value is not None and value is not False and not (isinstance(value, list | tuple) and not value)
    }
    return {"executor": "ray", **given} if "address" in given else given


def objective_changes(base: SearchConfig, given: dict[str, Any]) -> dict[str, Any]:
    """Return the objective and the costs that flags ask for; nothing where they ask for none.

    Args:
        base: the settings that they change.
        given: the flags that were given.

    Raises:
        InvalidInputError: flags that contradict each other.
    """
    if "target_macs" in given:
        if "cost" in given or "target" in given:
            raise InvalidInputError("--target-macs T is short for --cost macs --target T: leave out one or the other.")
        given = {**given, "cost": ["macs"], "target": given["target_macs"]}
    objective = _objective(base.objective, given)
    changes: dict[str, Any] = {} if objective == base.objective else {"objective": objective}
    if "target" in given:
        changes |= {"costs": ()} if base.costs else {}
    elif "cost" in given:
        changes["costs"] = tuple(given["cost"])
    return changes


def _objective(base: Objective, given: dict[str, Any]) -> Objective:
    from dataclasses import replace

    plain: dict[str, Any] = {name: given[name] for name in ("metric", "direction", "target", "weight") if name in given}
    costs = given.get("cost", [])
    if "target" in given:
        if len(costs) > 1:
            raise InvalidInputError(f"--target weighs one cost, got --cost {' --cost '.join(costs)}: name one.")
        plain |= {"cost": costs[0]} if costs else {}
    elif costs:
        plain |= {"target": None}
    if "weight" in given and plain.get("target", base.target) is None:
        raise InvalidInputError("--weight is the exponent of a cost over its target: give --cost and --target as well.")
    return replace(base, **plain)


def _number_or_text(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
