"""Exporting a network that a user names, and leaving a trained network's files beside its weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from safetensors.torch import save_file

from nas.errors import InvalidInputError, NASError, StorageError, UnknownNameError
from nas.exporting.formats import FORMATS, WEIGHTS
from nas.exporting.subject import Exportable, Subject, find_subject, stored_subject
from nas.finalizing import StoredNetwork


def _export_study(folder: Path, out: Path | None) -> tuple[Path, ...]:
    from nas.optuna_study import STUDY, export_study

    return (export_study(folder, out or folder / STUDY),)


# what writes a whole search, rather than a network, given its folder and --out, and returns the files
RUN_FORMATS: dict[str, Callable[[Path, Path | None], tuple[Path, ...]]] = {"optuna": _export_study}
BESIDE = ("python", "onnx")  # what every trained network's folder gets


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        format: a key of `FORMATS`.
        files: the network's first, then its weights where they are in a file of their own.
        difference: the largest difference of logits between what was written and the network, relative to the
            largest logit; None where it could not be checked.
        trained: whether the network has trained weights.
    """

    format: str
    files: tuple[Path, ...]
    difference: float | None
    trained: bool


def export(
    network: Exportable,
    *,
    format: str = "python",
    out: str | Path | None = None,
    classes: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
) -> Exported:
    """Write a network so that it can be used without this package, and check what was written.

    Args:
        network: a trained network's folder, a finished run's, a stored network, or a blueprint, its file, an
            architecture or a name; the last four have no trained weights.
        format: ``python``, ``onnx`` or ``torch-export``; or ``optuna`` for a whole search as a study.
        out: file, or folder; by default the trained network's own folder, or the current one.
        classes: length of the logits, of what is not trained.
        input_shape: (channels, height, width) of the images, of what is not trained.

    Raises:
        InvalidInputError: no such network, a format that cannot write it, or a file that is there already.
        UnknownNameError: no such format or name.
        MissingDependencyError: the format needs a package that is not installed.
        StorageError: the file cannot be written.
    """
    if format in RUN_FORMATS:
        return _export_run(network, format, None if out is None else Path(out))
    if format not in FORMATS:
        raise UnknownNameError("format", format, [*FORMATS, *RUN_FORMATS])
    subject = find_subject(network, classes=classes, input_shape=input_shape)
    path = _path(subject, format, None if out is None else Path(out))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        difference = _write_whole(subject, format, path)
        weights = _weights(subject, path) if format == "python" and subject.folder else ()
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}. Give another --out.") from None
    return Exported(format, (path, *weights), difference, subject.folder is not None)


def _export_run(network: Exportable, format: str, out: Path | None) -> Exported:
    if not isinstance(network, str | Path) or not Path(network).is_dir():
        raise InvalidInputError(f"--format {format} writes a whole search: give the folder of a run, not {network}.")
    return Exported(format, RUN_FORMATS[format](Path(network), out), None, False)


def _path(subject: Subject, format: str, out: Path | None) -> Path:
    ending = FORMATS[format].ending
    if out is None and subject.folder is not None:
        return subject.folder / f"{subject.name}{ending}"
    is_folder = out is None or out.is_dir() or not out.suffix
    path = (out or Path()) / f"{subject.name}{ending}" if out is None or is_folder else out
    if path.suffix != ending:
        raise InvalidInputError(f"--format {format} writes a file *{ending}, got {path}.")
    if path.exists():
        raise InvalidInputError(f"{path} exists already: remove it, or give another --out.")
    return path


def _write_whole(subject: Subject, format: str, path: Path) -> float | None:
    """Write to one side and move the file into place, so that a failure leaves nothing, and no half of it."""
    aside = path.parent / f".{path.stem}-being-written"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        difference = FORMATS[format].write(subject, aside / path.name)
        for written in aside.iterdir():
            written.replace(path.parent / written.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return difference


def _weights(subject: Subject, path: Path) -> tuple[Path, ...]:
    """Write the weights beside a Python file, where they are not there already."""
    target = path.with_name(WEIGHTS if path.stem == "network" else f"{path.stem}.safetensors")
    assert subject.folder is not None
    if target.resolve() != (subject.folder / WEIGHTS).resolve():
        save_file({name: tensor.clone() for name, tensor in subject.network.state_dict().items()}, target)
    return (target,)


def export_beside(stored: StoredNetwork, *, formats: Sequence[str] | None = None) -> dict[str, str]:
    """Write a trained network's files beside its weights; a failure is an answer, so that nothing else is lost.

    Args:
        stored: the network; its folder has its weights already.
        formats: keys of `FORMATS`; by default those of `BESIDE`.

    Returns:
        What failed: format -> why, in one line. ONNX is left out where its packages are not installed.
    """
    wanted = [
        name
        for name in (BESIDE if formats is None else formats)
        if name != "onnx" or (find_spec("onnx") and find_spec("onnxscript"))
    ]
    problems: dict[str, str] = {}
    try:
        subject = stored_subject(stored)
    except NASError as error:
        return dict.fromkeys(wanted, str(error))
    for name in wanted:
        try:
            _write_whole(subject, name, stored.folder / f"network{FORMATS[name].ending}")
        except Exception as error:  # torch's exporters and a user's own modules may raise anything
            problems[name] = " ".join(str(error).split())[:300] or type(error).__name__
    return problems
