"""A user's Python file as a value: its name and contents, which run anywhere, whether or not the file is there."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import linecache
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.own_code import describe_error
from search_spaces.space import SearchSpace

_LOADING: set[str] = set()  # modules whose code is running now, to see a file that loads itself
WANTED = "a class with `decisions` and `build`, or a function with an argument `choose`"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file's name, without its folder, and its contents."""

    name: str
    content: bytes

    def __post_init__(self) -> None:
        """Refuse a name that leads to another folder."""
        if Path(self.name).name != self.name:
            raise InvalidInputError(f"a source file has a name without folders, got {self.name!r}.")

    @classmethod
    def read(cls, path: Path) -> SourceFile:
        """Read a file.

        Raises:
            InvalidInputError: it is missing or cannot be read.
        """
        try:
            return cls(path.name, path.read_bytes())
        except FileNotFoundError:
            raise InvalidInputError(f"there is no file {path}: give the path of the file with your space.") from None
        except OSError as error:
            raise InvalidInputError(f"cannot read {path}: {error.strerror}.") from None

    @property
    def digest(self) -> str:
        """8 hex digits of the contents; how lines end does not matter."""
        return hashlib.sha256(self.content.replace(b"\r\n", b"\n")).hexdigest()[:8]

    def execute(self, path: str | None = None) -> ModuleType:
        """Return the module that the contents make; once a process, however often it is asked for.

        The contents run as they would on import: this is for files that the user named.

        Args:
            path: where the file lies, for tracebacks; None when it is not on this machine.

        Raises:
            InvalidInputError: in one line, what the code raised, or that it loads itself.
        """
        name = f"{self.name.removesuffix('.py')}#{self.digest}"  # no import statement can mean this one
        if name in _LOADING:
            raise InvalidInputError(
                f'{self.name} starts a search of itself while it is read: put that under `if __name__ == "__main__":`.'
            )
        if name not in sys.modules:
            module = sys.modules[name] = ModuleType(name)
            module.__file__ = path or f"<{name}>"
            _LOADING.add(name)
            try:
                self._run(module)
            except BaseException:
                del sys.modules[name]
                raise
            finally:
                _LOADING.discard(name)
        return sys.modules[name]

    def _run(self, module: ModuleType) -> None:
        file = str(module.__file__)
        try:
            code = compile(self.content, file, "exec", dont_inherit=True)
            lines = importlib.util.decode_source(self.content).splitlines(keepends=True)
            linecache.cache[file] = (len(self.content), None, lines, file)  # so that tracebacks show the lines
            exec(code, module.__dict__)
        except InvalidInputError:
            raise
        except (Exception, SystemExit) as error:  # code of others may raise anything
            hint = ""
            if isinstance(error, ModuleNotFoundError):
                hint = " A space is one file: it can import installed packages only."
            raise InvalidInputError(f"{self.name} raised {describe_error(error, file)}.{hint}") from error


def find_definition(module: ModuleType, source: SourceFile, attribute: str | None) -> tuple[str, Any]:
    """Return the name and value of the space that a module defines.

    Args:
        module: a source file's.
        source: the file.
        attribute: the name; None when there is only one it can be.

    Raises:
        UnknownNameError: the module has no such name; lists those that could be meant.
        InvalidInputError: no name is given and there is not exactly one candidate, or the value can be no space.
    """
    candidates = [name for name, value in vars(module).items() if _is_candidate(name, value, module)]
    if attribute is None:
        if len(candidates) != 1:
            found = (
                f"it has {', '.join(candidates)}: name one, like {source.name}:{candidates[0]}" if candidates else ""
            )
            raise InvalidInputError(
                f"{source.name} should define one space, {WANTED}; {found or f'it has none: write {WANTED}'}."
            )
        attribute = candidates[0]
    if attribute not in vars(module):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise UnknownNameError(f"name in {source.name}", attribute, candidates or public)
    value = vars(module)[attribute]
    if not (isinstance(value, SearchSpace) or _lists_decisions(value) or takes_choose(value)):
        raise InvalidInputError(f"{source.name}:{attribute} is no space, which is {WANTED}{_what_lacks(value)}.")
    return attribute, value


def takes_choose(value: object) -> bool:
    """Return whether something is a function with an argument ``choose``."""
    if not callable(value) or isinstance(value, type):
        return False
    try:
        return "choose" in inspect.signature(value).parameters
    except ValueError:  # some functions written in C do not tell
        return False


def _lists_decisions(value: object) -> bool:
    if isinstance(value, type) and issubclass(value, SearchSpace):
        return not inspect.isabstract(value)
    return hasattr(value, "decisions") and hasattr(value, "build")


def _is_candidate(name: str, value: object, module: ModuleType) -> bool:
    if name.startswith("_"):
        return False
    if isinstance(value, type) or inspect.isfunction(value):  # what the file imports is not what it defines
        return value.__module__ == module.__name__ and (_lists_decisions(value) or takes_choose(value))
    return isinstance(value, SearchSpace)


def _what_lacks(value: object) -> str:
    if isinstance(value, type):
        wanted = ("key", "build", "complexity") if issubclass(value, SearchSpace) else ("decisions", "build")
        lacking = [
            f"`{name}`"
            for name in wanted
            if name in getattr(value, "__abstractmethods__", ()) or not hasattr(value, name)
        ]
        return f": the class lacks {' and '.join(lacking)}"
    return ": the function has no argument `choose`" if callable(value) else f", got {type(value).__name__}"
