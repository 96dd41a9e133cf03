"""A user's own space from a file of theirs: ``my_net.py:Net``.

Such a space is known by the file's name and contents, never by the folder: ``my_net.py:Net#1a2b3c4d`` is the same
space in every process, and a changed file is another one. It travels as source text, so workers on other machines
build from it, and a run keeps a copy. What the file may define stands in `search_spaces.custom`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from torch import nn

from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision
from search_spaces.custom import ClassDefinition, CustomSpace, FunctionDefinition
from search_spaces.errors import InvalidInputError
from search_spaces.own_code import file_of, user_code
from search_spaces.source_file import WANTED, SourceFile, find_definition, takes_choose
from search_spaces.space import SearchSpace

SOURCE_FOLDER = "space"
DECISIONS_FILE = "decisions.json"
_SPECIFICATION = re.compile(r"(?P<path>.*\.py)(:(?P<attribute>[^:#]+)(#(?P<digest>[0-9a-f]{8}))?)?")
_LOADED: dict[str, FileSpace] = {}  # by name: architectures name their space, and not where its file lies


@final
class FileSpace(SearchSpace):
    """A space read from a user's file; pickled as the file's contents, which run again where it is unpickled."""

    def __init__(self, source: SourceFile, attribute: str, inner: SearchSpace) -> None:
        """Give a space made from the file's contents the name that tells where it comes from."""
        super().__init__(inner.name, inner.decisions)
        self.source = source
        self.attribute = attribute
        self._inner = inner

    def key(self, architecture: Architecture) -> str:
        """Return what the user's space says."""
        self.validate(architecture)
        return self._inner.key(architecture)

    def build(self, blueprint: Blueprint) -> nn.Module:
        """Return what the user's space builds."""
        return self._inner.build(blueprint)

    def complexity(self, blueprint: Blueprint) -> Complexity:
        """Return what the user's space counts."""
        return self._inner.complexity(blueprint)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as source text, with the decisions, which need not be found again."""
        return _restore, (self.source.name, self.source.content, self.attribute, self.decisions)


def is_local(specification: str) -> bool:
    """Return whether a specification names a file: ``my_net.py``, ``folder/my_net.py:Net``, or with a digest."""
    return _SPECIFICATION.fullmatch(specification) is not None


def local_space(specification: str) -> FileSpace:
    """Return the space of a file; the file is run, once for its contents.

    Args:
        specification: path and name, as in ``folder/my_net.py:Net``; the name may be left out where the file defines
            one space only. With a digest behind it, as spaces call themselves, the contents must be those; a space
            that this process knows already needs no file then.

    Raises:
        InvalidInputError: in one line, what is wrong with the file.
        UnknownNameError: the file does not define the name.
    """
    match = _SPECIFICATION.fullmatch(specification)
    assert match is not None
    path, attribute, digest = Path(match["path"]).expanduser(), match["attribute"], match["digest"]
    if digest and (known := _LOADED.get(f"{path.name}:{attribute}#{digest}")):
        return known
    source = SourceFile.read(path)
    if digest and source.digest != digest:
        raise InvalidInputError(
            f"{path} is not the file that {specification!r} was made from: its contents have changed and are "
            f"#{source.digest} now. Bring the former ones back, or start a new search."
        )
    return _load(source, attribute, path=str(path.resolve()))


def space_of_code(code: Any) -> FileSpace:
    """Return the space of a class or function, read from the file that defines it, which is run once more for that.

    Raises:
        InvalidInputError: it is defined in no file, or inside something else, or makes no space.
    """
    name = getattr(code, "__qualname__", None)
    if name is None or not name.isidentifier():
        raise InvalidInputError(
            f"a space is {WANTED}, at the top level of a file; got {name or code!r}: move it there."
        )
    try:
        file = inspect.getsourcefile(code)
    except (TypeError, OSError):
        file = None
    if file is None or not Path(file).is_file():
        raise InvalidInputError(
            f"{name} is not defined in a file, so other processes could not build it: write it into one and give "
            f"'FILE.py:{name}'."
        )
    return _load(SourceFile.read(Path(file)), name, path=file)


def save_source(space: SearchSpace, folder: Path) -> str | None:
    """Keep a copy of a space's file in a folder of a run, and beside it the decisions, to be read without running it.

    Args:
        space: any.
        folder: both go into ``space/`` in it, which is made.

    Returns:
        The specification by which `get_space` finds the copy; None for a space that comes from no file.

    Raises:
        OSError: the copy cannot be written.
    """
    if not isinstance(space, FileSpace):
        return None
    path = folder / SOURCE_FOLDER / space.source.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(space.source.content)
    decisions = [{"name": decision.name, "options": list(decision.options)} for decision in space.decisions]
    path.with_name(DECISIONS_FILE).write_text(json.dumps(decisions, indent=2) + "\n")
    return f"{path}:{space.attribute}"


def kept_decisions(folder: Path) -> tuple[Decision, ...] | None:
    """Return the decisions of the space that a folder keeps, without running its file; None where it keeps none.

    Args:
        folder: what `save_source` was given.

    Raises:
        InvalidInputError: they cannot be read.
    """
    path = folder / SOURCE_FOLDER / DECISIONS_FILE
    try:
        entries = json.loads(path.read_text())
        return tuple([Decision(entry["name"], tuple(entry["options"])) for entry in entries])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"the decisions of a space in {path} cannot be read: {error!r}.") from None


def kept_specification(specification: str, folder: Path) -> str:
    """Return a specification that reads the copy kept in a folder, or the same again where there is none.

    Args:
        specification: of any space.
        folder: what `save_source` was given.
    """
    match = _SPECIFICATION.fullmatch(specification)
    if match is None:
        return specification
    copy = folder / SOURCE_FOLDER / Path(match["path"]).name
    return f"{copy}{specification.removeprefix(match['path'])}" if copy.is_file() else specification


def _restore(name: str, content: bytes, attribute: str, decisions: Sequence[Decision]) -> FileSpace:
    return _load(SourceFile(name, content), attribute, decisions=decisions)


def _load(
    source: SourceFile, attribute: str | None, *, path: str | None = None, decisions: Sequence[Decision] | None = None
) -> FileSpace:
    """Return the space that a file's contents define; the same object when they were loaded before."""
    if attribute is None or f"{source.name}:{attribute}#{source.digest}" not in _LOADED:
        attribute, value = find_definition(source.execute(path), source, attribute)
        name = f"{source.name}:{attribute}#{source.digest}"
        if name not in _LOADED:
            _LOADED[name] = FileSpace(source, attribute, _make_space(name, value, decisions))
    return _LOADED[f"{source.name}:{attribute}#{source.digest}"]


def _make_space(name: str, value: Any, decisions: Sequence[Decision] | None) -> SearchSpace:
    label = name.partition("#")[0]
    if takes_choose(value):
        return CustomSpace(name, FunctionDefinition(label, value, decisions=decisions))
    if isinstance(value, type):
        with user_code(label, file_of(value), "when it was made, without arguments"):
            value = value()
    if isinstance(value, SearchSpace):
        value.name = name  # its architectures must be found again by the file
        return value
    return CustomSpace(name, ClassDefinition(label, value))
